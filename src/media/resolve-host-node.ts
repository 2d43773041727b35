import { Resolver } from 'node:dns/promises';

import { literalAddress, shownHost } from './host-rules.ts';
import { refuse } from './source-limits.ts';

/** Addresses of a name. */
export type Lookup = (name: string, signal: AbortSignal) => Promise<readonly string[]>;

/**
 * Asks the DNS and nothing else: the hosts file names no public host, and `getaddrinfo` would keep a thread for as long as a server is
 * silent, of four that also read files.
 * @param servers default: the system's
 */
export function createDnsLookup(servers?: readonly string[]): Lookup {
  return async (name, signal) => {
    const resolver = new Resolver({ timeout: 1500, tries: 2 });
    if (servers !== undefined) resolver.setServers(servers);
    const cancel = (): void => resolver.cancel();
    signal.addEventListener('abort', cancel, { once: true });
    try {
      const answers = await Promise.allSettled([resolver.resolve4(name), resolver.resolve6(name)]);
      const addresses = answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []));
      // A name may have addresses of one family only.
      if (addresses.length === 0 && answers[0].status === 'rejected') throw answers[0].reason;
      return addresses;
    } finally {
      signal.removeEventListener('abort', cancel);
    }
  };
}

/**
 * The addresses that may be dialled for a URL, asked for once.
 * @throws WgrankError `media-refused` when one of them is not public: such a name would lead inside sooner or later
 */
export async function resolvePublic(
  url: URL,
  lookup: Lookup,
  isPublic: (address: string) => boolean,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const literal = literalAddress(url);
  const addresses = literal === undefined ? await lookup(url.hostname, signal) : [literal];
  if (addresses.length === 0) throw Object.assign(new Error('no addresses'), { code: 'ENODATA' });
  if (!addresses.every(isPublic))
    throw refuse(`${shownHost(url)} is, or has, an address that is not public, and those are never fetched`);
  return addresses;
}
