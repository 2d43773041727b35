import type { RequestHandler } from 'express';
import { dialectNames, type DialectName } from './dialects/dialect.ts';
import type { ErrorShape } from './error-bodies.ts';
import type { FindRoute } from './find-route.ts';
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
 * this, access control too, sees the route, and knows its name: refusals before the routes count as its own. `originalUrl` is as sent.
 */
export function readDialectPrefix(find: FindRoute): RequestHandler {
  return (request, response, next) => {
    const locals = localsOf(response);
    const prefixed = prefix.exec(request.url);
    if (prefixed !== null) {
      locals.dialect = prefixed[1] as DialectName;
      const rest = request.url.slice(prefixed[0].length);
      request.url = rest.startsWith('/') ? rest : `/${rest}`;
    }
    const route = find(request.path, locals.dialect);
    locals.errors = locals.dialect === undefined ? (route?.errors ?? 'sglang') : errorShapes[locals.dialect];
    if (route !== undefined) {
      locals.route = route.path;
      locals.scoring = route.about.tag === 'rerank' || route.about.tag === 'score';
    }
    next();
  };
}
