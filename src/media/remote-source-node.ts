import type { IncomingMessage } from 'node:http';
import { Agent, request, type RequestOptions } from 'node:https';
import { isIP, type LookupFunction } from 'node:net';

import { WgrankError } from '../errors.ts';
import { isPublicAddress } from './address-rules-node.ts';
import { Slots } from './slots.ts';
import { literalAddress, parseAllowedHosts, parseRedirect, parseRemoteUrl, requireAllowed } from './host-rules.ts';
import { createDnsLookup, type Lookup, resolvePublic } from './resolve-host-node.ts';
import { type ByteLimit, cancelled, refuse, tooLarge, unavailable } from './source-limits.ts';

/** For tests only, which have neither a DNS nor a public address. No option of the command line leads here. */
export interface DialForTests {
  /** Answers in the DNS's place; what it answers is checked all the same. */
  readonly lookup?: Lookup;
  /** PEM of the authority to trust instead of Node's own. */
  readonly ca?: string | undefined;
  /** Addresses that pass the check although they are not public. */
  readonly treatAsPublic?: readonly string[];
}

export interface RemoteOptions {
  /** Exact hosts, `host` or `host:port`. None: nothing is fetched. */
  readonly allow: readonly string[];
  /** From the first question to the DNS to the last byte. */
  readonly timeoutMs: number;
  readonly dial?: DialForTests | undefined;
}

export interface RemoteSource {
  /** @throws WgrankError `media-refused`, `media-unavailable`, `media-too-large`, `cancelled` */
  read(url: string, limit: ByteLimit, signal?: AbortSignal): Promise<Uint8Array>;
}

const maxRedirects = 3;
const redirectStatuses: readonly (number | undefined)[] = [301, 302, 303, 307, 308];
/** Fetches at a time; each holds a socket and up to its limit of bytes. */
const maxFetches = 8;

/**
 * Fetches from listed hosts over https. Each hop, redirects included, is checked as the first one: its form, its host, and every
 * address that the host has. Dialled is what was checked, under the host's own name and certificate; proxies of the environment,
 * cookies, credentials and compression have no part in it.
 * @throws WgrankError `launch-refused` for an entry that names no host
 */
export function createRemoteSource({ allow, timeoutMs, dial = {} }: RemoteOptions): RemoteSource {
  const isPublic = (address: string): boolean =>
    isPublicAddress(address) || (dial.treatAsPublic?.includes(address) ?? false);
  const allowed = parseAllowedHosts(allow, isPublic);
  const lookup = dial.lookup ?? createDnsLookup();
  const slots = new Slots(maxFetches);

  async function follow(first: URL, limit: ByteLimit, stop: AbortSignal): Promise<Uint8Array> {
    let url = first;
    for (let redirects = 0; redirects <= maxRedirects; redirects += 1) {
      const addresses = await unlessStopped(resolvePublic(url, lookup, isPublic, stop), stop);
      const answer = await unlessStopped(get(url, addresses, limit, stop, dial.ca), stop);
      if ('bytes' in answer) return answer.bytes;
      url = parseRedirect(answer.location, url);
      requireAllowed(url, allowed);
    }
    throw unavailable(`the host redirects more than ${maxRedirects} times`);
  }

  return {
    async read(text, limit, signal) {
      if (allowed.size === 0)
        throw refuse('nothing is fetched from other hosts here (--media-allow host[,host] lists hosts that may be)');
      const url = parseRemoteUrl(text);
      requireAllowed(url, allowed);
      if (!(await slots.take(signal))) throw cancelled();
      const stop = new AbortController();
      const abort = (): void => stop.abort();
      signal?.addEventListener('abort', abort, { once: true });
      const timer = setTimeout(abort, timeoutMs);
      try {
        // The signal may have come between the slot and here.
        if (signal?.aborted) throw cancelled();
        return await follow(url, limit, stop.signal);
      } catch (error) {
        if (signal?.aborted) throw cancelled();
        if (error instanceof WgrankError) throw error;
        if (stop.signal.aborted)
          throw unavailable(`it did not arrive within ${timeoutMs} ms (--remote-timeout-ms, redirects included)`);
        throw unavailable(`it cannot be fetched: ${codeOf(error)}`);
      } finally {
        clearTimeout(timer);
        signal?.removeEventListener('abort', abort);
        // Whatever is still under way for it ends too.
        stop.abort();
        slots.release();
      }
    },
  };
}

/** Texts of errors hold addresses; Node's codes do not. */
function codeOf(error: unknown): string {
  const code: unknown = error instanceof Error && 'code' in error ? error.code : undefined;
  return typeof code === 'string' && /^[A-Z][A-Z0-9_]*$/.test(code) ? code : 'the connection failed';
}

async function unlessStopped<T>(task: Promise<T>, stop: AbortSignal): Promise<T> {
  const stopped = new Promise<never>((_, reject) => {
    const end = (): void => reject(new Error('stopped'));
    if (stop.aborted) end();
    else stop.addEventListener('abort', end, { once: true });
  });
  return Promise.race([task, stopped]);
}

type Answer = { readonly bytes: Uint8Array } | { readonly location: string | undefined };

/** One GET at addresses that were checked. */
function get(
  url: URL,
  addresses: readonly string[],
  limit: ByteLimit,
  stop: AbortSignal,
  ca: string | undefined,
): Promise<Answer> {
  const host = literalAddress(url) ?? url.hostname;
  const options: RequestOptions = {
    host,
    port: url.port === '' ? 443 : Number(url.port),
    path: url.pathname + url.search,
    headers: { accept: 'image/*, video/*', 'accept-encoding': 'identity', 'user-agent': 'wgrank' },
    // Its own: no connection outlives the fetch, and a proxy that the environment names for the global one is not asked.
    agent: new Agent({ keepAlive: false, maxCachedSessions: 0 }),
    lookup: pinnedTo(addresses),
    servername: isIP(host) === 0 ? host : '',
    // Said, because an environment variable could turn it off.
    rejectUnauthorized: true,
    signal: stop,
    ...(ca === undefined ? {} : { ca }),
  };
  return new Promise((resolve, reject) => {
    let answered = false;
    const sent = request(options, (response) => {
      answered = true;
      readAnswer(response, limit)
        .then(resolve, reject)
        .finally(() => sent.destroy());
    });
    sent.on('error', reject);
    // After `101 Switching Protocols` there is neither an answer nor an error.
    sent.on('close', () => {
      if (!answered) reject(Object.assign(new Error('closed'), { code: 'ECONNRESET' }));
    });
    sent.end();
  });
}

/** A lookup that knows one answer; Node tries its addresses in order. */
function pinnedTo(addresses: readonly string[]): LookupFunction {
  const known = addresses.map((address) => ({ address, family: isIP(address) }));
  return (_host, { all }, callback) => {
    if (all === true) callback(null, known);
    else callback(null, known[0]!.address, known[0]!.family);
  };
}

async function readAnswer(response: IncomingMessage, limit: ByteLimit): Promise<Answer> {
  const { statusCode, headers } = response;
  if (redirectStatuses.includes(statusCode)) return { location: headers.location };
  if (statusCode !== 200) throw unavailable(`the host answers ${statusCode}`);
  if ((headers['content-encoding'] ?? 'identity').toLowerCase() !== 'identity')
    throw unavailable('the host sends it compressed although it was not asked to');
  const announced = Number(headers['content-length'] ?? 0);
  if (announced > limit.maxBytes) throw tooLarge(limit, announced);
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length;
    // A chunked answer announces nothing.
    if (size > limit.maxBytes) throw tooLarge(limit);
    chunks.push(chunk);
  }
  const bytes = Buffer.allocUnsafeSlow(size);
  let at = 0;
  for (const chunk of chunks) at += chunk.copy(bytes, at);
  return { bytes };
}
