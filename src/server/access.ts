import type { Request, RequestHandler, Response } from 'express';
import helmet from 'helmet';
import type { ApiKeys } from './api-keys.ts';
import { isLoopback } from './binding.ts';
import { guardOrigin } from './cross-origin.ts';
import { HttpRefusal } from './error-answer.ts';
import { checkHost } from './host-check.ts';

export interface AccessOptions {
  /** The address that the server listens on. */
  readonly host: string;
  /** None: no key is needed. */
  readonly keys: ApiKeys;
  readonly corsOrigins?: readonly string[];
  readonly allowedHosts?: readonly string[];
}

/** Open to whoever asks, by GET or HEAD: balancers and orchestrators have no key. */
const publicPaths: ReadonlySet<string> = new Set(['/health', '/ready']);

/** Everything that stands before the routes, in its order: headers of the answer, Host, Origin, key. */
export function guardAccess(options: AccessOptions): RequestHandler[] {
  const { host, keys, corsOrigins = [], allowedHosts = [] } = options;
  const hostCheck = checkHost({ host, allowedHosts });
  const refuseOthers = isLoopback(host) && keys.count === 0;
  const checks = [
    ...(hostCheck ? [hostCheck] : []),
    guardOrigin({ corsOrigins, refuseOthers }),
    ...(keys.count > 0 ? [requireKey(keys)] : []),
  ];
  return [secureHeaders(), ...checks];
}

/**
 * Answers 401 without a valid key, whatever the path: routes that do not exist are nobody's business either.
 * A key comes as `Authorization: Bearer KEY` or `x-api-key: KEY`; one that fits is enough.
 */
function requireKey(keys: ApiKeys): RequestHandler {
  return (request, response, next) => {
    const { method, originalUrl } = request;
    // As sent: a prefix that was taken off makes no route public.
    const path = originalUrl.split('?', 1)[0]!;
    const place = keysOf(request)
      .map((key) => keys.find(key))
      .find((found) => found !== undefined);
    if (place !== undefined) callers.set(response, `key ${place + 1}`);
    else if (!publicPaths.has(path) || (method !== 'GET' && method !== 'HEAD')) throw unauthorised(request);
    next();
  };
}

function keysOf({ headers }: Request): string[] {
  const bearer = /^bearer +(\S+) *$/i.exec(headers.authorization ?? '')?.[1];
  const plain = headers['x-api-key'];
  return [bearer, typeof plain === 'string' ? plain : undefined].filter((key) => key !== undefined);
}

function unauthorised({ headers }: Request): HttpRefusal {
  // A body that nobody will read is not waited for.
  const hasBody = headers['content-length'] !== undefined || headers['transfer-encoding'] !== undefined;
  return new HttpRefusal(401, 'A valid API key is needed: Authorization: Bearer KEY', {
    headers: { 'WWW-Authenticate': 'Bearer', ...(hasBody && { Connection: 'close' }) },
  });
}

const callers = new WeakMap<Response, string>();

/** Which key the request came with, by its place in the list: shares of the queue go by it. Undefined without keys. */
export const callerOf = (response: Response): string | undefined => callers.get(response);

/**
 * Headers that tell browsers to be careful. Swagger UI comes from this server, needs styles in attributes and icons in `data:`, and
 * asks this server alone. No HSTS: whoever ends TLS in front decides that, and none of it is spoken here.
 */
export function secureHeaders(): RequestHandler {
  return helmet({
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        defaultSrc: ["'none'"],
        scriptSrc: ["'self'"],
        styleSrc: ["'self'", "'unsafe-inline'"],
        imgSrc: ["'self'", 'data:'],
        fontSrc: ["'self'", 'data:'],
        connectSrc: ["'self'"],
        formAction: ["'none'"],
        baseUri: ["'none'"],
        frameAncestors: ["'none'"],
      },
    },
    strictTransportSecurity: false,
    xFrameOptions: { action: 'deny' },
  });
}
