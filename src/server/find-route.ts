import type { DialectName } from './dialects/dialect.ts';
import type { Route } from './routes.ts';

/** The route that a path leads to, by any method; `dialect` is what stood in front of it. */
export type FindRoute = (path: string, dialect: DialectName | undefined) => Route | undefined;

/**
 * Tells the route of a path before anything is routed, so that whoever refuses a request on its way knows what it was for. Reads paths
 * as Express does: in any case, with or without a slash at the end.
 */
export function routeFinder(routes: readonly Route[]): FindRoute {
  const plain = new Map(routes.map((route) => [plainPath(route.path), route]));
  const patterns = routes
    .filter(({ path }) => /[*:]/.test(path))
    .map((route) => ({ route, pattern: new RegExp(`^${patternOf(route.path)}/?$`, 'i') }));
  return (path, dialect) => {
    const found = plain.get(plainPath(path)) ?? patterns.find(({ pattern }) => pattern.test(path))?.route;
    return found?.only === undefined || found.only === dialect ? found : undefined;
  };
}

const plainPath = (path: string) => path.toLowerCase().replace(/\/$/, '');

/** `*id` is the rest of the path, `:file` one segment. */
function patternOf(path: string): string {
  return path.replaceAll('.', String.raw`\.`).replaceAll(/([*:])\w+/g, (_, sign) => (sign === '*' ? '.+' : '[^/]+'));
}
