import { WgrankError } from '../errors.ts';
import { refuseOddCharacters } from './classify-source.ts';
import { refuse, unavailable } from './source-limits.ts';

/**
 * Reads an https URL with the one parser that also says what is dialled.
 * @throws WgrankError `media-refused` for other schemes, user names, and forms that the parser would have to mend
 */
export function parseRemoteUrl(text: string): URL {
  refuseOddCharacters(text);
  if (!/^https:\/\/[^/?#]/i.test(text)) throw refuse('a remote url must begin with https:// and a host');
  if (text.slice('https://'.length).split(/[/?#]/, 1)[0]!.includes('@'))
    throw refuse('a url with a user name is not fetched');
  if (!URL.canParse(text)) throw refuse('the url is not valid');
  return new URL(text);
}

/**
 * @param location the header of an answer from `base`
 * @throws WgrankError `media-unavailable` without one, `media-refused` as `parseRemoteUrl`
 */
export function parseRedirect(location: string | undefined, base: URL): URL {
  if (location === undefined || location === '') throw unavailable('the host redirects without saying where to');
  refuseOddCharacters(location);
  if (/[^ -~]/.test(location)) throw refuse('the host redirects to a url with characters that are not ASCII');
  if (!URL.canParse(location, base.href)) throw refuse('the host redirects to a url that is not valid');
  return parseRemoteUrl(new URL(location, base).href);
}

/** What `--media-allow` lists, in the parser's spelling: lower case, IDN as ASCII, with the port. */
export type AllowedHosts = ReadonlySet<string>;

const keyOf = (url: URL): string => `${url.hostname}:${url.port === '' ? '443' : url.port}`;

/** @param entries exact host names or addresses, `host` or `host:port`. @throws WgrankError `launch-refused` */
export function parseAllowedHosts(entries: readonly string[], isPublic: (address: string) => boolean): AllowedHosts {
  return new Set(
    entries.map((entry) => {
      const fault = (rule: string): WgrankError =>
        new WgrankError('launch-refused', '--media-allow', `${JSON.stringify(entry.slice(0, 260))} ${rule}`);
      if (entry.includes('*')) throw fault('holds a wildcard (hosts are listed one by one, exactly)');
      if (/[\s/\\?#@%]/.test(entry) || !URL.canParse(`https://${entry}`))
        throw fault('is no host (host or host:port, without scheme and path)');
      const url = new URL(`https://${entry}`);
      // The parser lets some marks through that no name has, such as commas.
      if (!/^[a-z0-9._-]+$|^\[/.test(url.hostname)) throw fault('is no host (list hosts one by one)');
      if (url.hostname.endsWith('.')) throw fault('ends with a dot (leave it out)');
      const address = literalAddress(url);
      if (address !== undefined && !isPublic(address)) throw fault('is no public address, and those are never fetched');
      return keyOf(url);
    }),
  );
}

/** @throws WgrankError `media-refused` */
export function requireAllowed(url: URL, allowed: AllowedHosts): void {
  if (!allowed.has(keyOf(url)))
    throw refuse(`nothing is fetched from ${shownHost(url)} (--media-allow host[,host] lists the hosts, exactly)`);
}

/** The address that a host is, or undefined for a name. */
export function literalAddress({ hostname }: URL): string | undefined {
  if (hostname.startsWith('[')) return hostname.slice(1, -1);
  // What ends in a number is an IPv4 address for the parser, whatever its spelling was.
  return /^\d+\.\d+\.\d+\.\d+$/.test(hostname) ? hostname : undefined;
}

/** For messages. */
export const shownHost = (url: URL): string => JSON.stringify(url.host.slice(0, 260));
