import type { RequestHandler } from 'express';
import { isIP } from 'node:net';
import { isLoopback } from './binding.ts';
import { HttpRefusal } from './error-answer.ts';

export interface HostRule {
  /** The address that the server listens on. */
  readonly host: string;
  /** Further names by which clients may ask, without port. */
  readonly allowedHosts: readonly string[];
}

/**
 * Refuses requests that were meant for another name. A web page may point its own name at this machine (DNS rebinding) and would
 * then be of the same origin; the Host header still says whose name it was. An address in its place proves that no name was
 * rebound. On addresses that others reach, names are checked only when the operator lists them.
 * source: Ollama's allow-list; reliability of `Host`: RFC 9112 §3.2
 */
export function checkHost({ host, allowedHosts }: HostRule): RequestHandler | undefined {
  const local = isLoopback(host);
  if (!local && allowedHosts.length === 0) return undefined;
  const listed = new Set(allowedHosts.map((name) => name.toLowerCase()));
  const isAllowed = (name: string) => isLoopback(name) || listed.has(name) || (!local && isIP(name) !== 0);
  // Clients ask by one name over and over.
  let lastAllowed: string | undefined;
  return (request, _response, next) => {
    if (count(request.rawHeaders, 'host') > 1) throw new HttpRefusal(400, 'The request has more than one Host header');
    // Node answers 400 to HTTP/1.1 without Host; balancers' probes in HTTP/1.0 have none, and browsers always do.
    const asked = [request.headers.host, authorityOf(request.url)].filter((authority) => authority !== undefined);
    for (const authority of asked) {
      if (authority === lastAllowed) continue;
      if (!isAllowed(hostName(authority) ?? '')) throw wrongHost();
      lastAllowed = authority;
    }
    next();
  };
}

function wrongHost(): HttpRefusal {
  return new HttpRefusal(403, 'This server is not asked by that Host (its operator may add names with --allowed-host)');
}

/** @param authority `name[:port]` @returns the name in lower case, IPv6 without brackets; undefined for anything else */
export function hostName(authority: string): string | undefined {
  const parts = /^(?:\[([\da-f:.]+)\]|([\w.-]+))(?::(\d{1,5}))?$/i.exec(authority);
  return (parts?.[1] ?? parts?.[2])?.toLowerCase();
}

/** Of a request line in absolute form, as proxies get it. */
function authorityOf(target: string): string | undefined {
  return /^[a-z][a-z\d+.-]*:\/\/([^/?#]*)/i.exec(target)?.[1];
}

/** Node keeps the first of several. */
function count(rawHeaders: readonly string[], name: string): number {
  return rawHeaders.filter((header, i) => i % 2 === 0 && header.toLowerCase() === name).length;
}
