const methods: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH']);

/** Node's parser knows thirty methods more. */
export const methodOf = (method: string): string => (methods.has(method) ? method : 'other');

/** Every value of `err`: TEI's own where it has one. */
export const failures = [
  'validation',
  'overloaded',
  'unhealthy',
  'timeout',
  'dropped',
  'unauthorized',
  'backend',
] as const;

/** What kind of failure a status of 400 or more is, whatever the wire format calls it. */
export function failureOf(status: number): (typeof failures)[number] {
  if (status === 401 || status === 403) return 'unauthorized';
  if (status === 408 || status === 504) return 'timeout';
  if (status === 424 || status === 500) return 'backend';
  if (status === 429) return 'overloaded';
  if (status === 499) return 'dropped';
  return status >= 500 ? 'unhealthy' : 'validation';
}
