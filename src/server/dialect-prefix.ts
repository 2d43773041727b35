import type { RequestHandler } from 'express';
import { dialectNames, type DialectName } from './dialects/dialect.ts';
import type { ErrorShape } from './error-bodies.ts';
import { localsOf } from './request-locals.ts';

const errorShapes: Readonly<Record<DialectName, ErrorShape>> = {
  sglang: 'sglang',
  jina: 'superset',
  cohere: 'cohere',
  vllm: 'vllm',
  tei: 'tei',
  voyage: 'voyage',
};

const prefix = new RegExp(`^/(${dialectNames.join('|')})(?=[/?]|$)`);

/**
 * Takes the wire format's name off the path: `/jina/v1/rerank` is the route `/v1/rerank`, answered as Jina does. Everything behind
 * this, access control too, sees the route; `originalUrl` is as sent.
 * @param errorsOf how a path's errors are written where no prefix says it
 */
export function readDialectPrefix(errorsOf: (path: string) => ErrorShape | undefined): RequestHandler {
  return (request, response, next) => {
    const locals = localsOf(response);
    const found = prefix.exec(request.url);
    if (found === null) {
      locals.errors = errorsOf(request.path) ?? 'sglang';
      return next();
    }
    locals.dialect = found[1] as DialectName;
    locals.errors = errorShapes[locals.dialect];
    const rest = request.url.slice(found[0].length);
    request.url = rest.startsWith('/') ? rest : `/${rest}`;
    next();
  };
}
