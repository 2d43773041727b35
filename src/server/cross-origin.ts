import type { Request, RequestHandler, Response } from 'express';
import { HttpRefusal } from './error-answer.ts';

export interface OriginRule {
  /** Origins whose pages may ask and read, such as `https://app.example.com`. */
  readonly corsOrigins: readonly string[];
  /** Whether pages of other origins are refused outright: where no key protects a server on loopback. */
  readonly refuseOthers: boolean;
}

/** Headers of answers that pages may read beyond the few that browsers let them. */
const exposedHeaders = 'Retry-After, retry-after-ms, X-Request-Id';
const allowedMethods = 'GET, HEAD, POST, PUT';
/** Chromium's own limit is 2 hours, and a list of origins seldom changes. */
const preflightSeconds = 600;

/**
 * Decides what pages of other origins may do. Without `--cors-origin` no answer has a CORS header, so that browsers keep answers
 * to themselves; on a loopback server without keys their requests are refused as well, since a page could make the GPU work unread.
 * Credentials are never allowed: keys travel in headers that pages set themselves.
 */
export function guardOrigin({ corsOrigins, refuseOthers }: OriginRule): RequestHandler {
  const listed = new Set(corsOrigins);
  return (request, response, next) => {
    if (listed.size > 0) response.vary('Origin');
    const { origin } = request.headers;
    if (origin === undefined) return next();
    if (listed.has(origin)) {
      response.set({ 'Access-Control-Allow-Origin': origin, 'Access-Control-Expose-Headers': exposedHeaders });
      if (isPreflight(request)) return answerPreflight(request, response);
      return next();
    }
    if (refuseOthers && !isSameOrigin(origin, request.headers.host))
      throw new HttpRefusal(403, 'Pages of that origin may not ask here (the operator may add it with --cors-origin)');
    next();
  };
}

const isPreflight = ({ method, headers }: Request) =>
  method === 'OPTIONS' && headers['access-control-request-method'] !== undefined;

function answerPreflight(request: Request, response: Response): void {
  const wanted = request.headers['access-control-request-headers'] ?? '';
  // SDKs send headers of their own (X-Client-Name, X-Fern-*): whatever is a list of names is allowed.
  const names = /^[\w!#$%&'*+.^`|~-]+(?:[ \t]*,[ \t]*[\w!#$%&'*+.^`|~-]+)*$/.test(wanted) ? wanted : undefined;
  response.vary('Access-Control-Request-Headers');
  response.set({
    'Access-Control-Allow-Methods': allowedMethods,
    'Access-Control-Max-Age': String(preflightSeconds),
    ...(names !== undefined && { 'Access-Control-Allow-Headers': names }),
    // Chromium asks before public pages reach private addresses.
    ...(request.headers['access-control-request-private-network'] === 'true' && {
      'Access-Control-Allow-Private-Network': 'true',
    }),
  });
  response.removeHeader('Access-Control-Expose-Headers');
  response.status(204).end();
}

/** Scheme aside, which a proxy that ends TLS changes. */
function isSameOrigin(origin: string, host: string | undefined): boolean {
  try {
    const page = new URL(origin);
    // A browser sends the serialised form; anything else ("null" too) is no origin of ours.
    return page.origin === origin && page.host === new URL(`${page.protocol}//${host}`).host;
  } catch {
    return false;
  }
}
