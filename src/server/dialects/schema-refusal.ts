import type { z } from 'zod';
import { HttpRefusal } from '../error-answer.ts';

/** Issues listed in one message; a body with 1,000 wrong documents must not make a message of 1,000 lines. */
const maxIssues = 5;

export interface SchemaRefusalOptions {
  /** Where in the body the value stands that was checked; default: it is the body. */
  readonly path?: readonly PropertyKey[];
  /** Default 400. */
  readonly status?: number;
}

/** Says what is wrong with a body, and where. */
export function schemaRefusal(issues: readonly z.core.$ZodIssue[], options: SchemaRefusalOptions = {}): HttpRefusal {
  const flat = issues.flatMap((issue) => flatten(issue, options.path ?? []));
  const lines = flat.slice(0, maxIssues).map(({ path, message }) => `${formatPath(path)}: ${message}`);
  const more = flat.length > maxIssues ? `; and ${flat.length - maxIssues} more` : '';
  const count = flat.length === 1 ? '1 validation error' : `${flat.length} validation errors`;
  return new HttpRefusal(options.status ?? 400, `${count}: ${lines.join('; ')}${more}`);
}

/** @throws HttpRefusal when the value does not fit */
export function readBody<T extends z.ZodType>(schema: T, body: unknown, options?: SchemaRefusalOptions): z.output<T> {
  const parsed = schema.safeParse(body);
  if (!parsed.success) throw schemaRefusal(parsed.error.issues, options);
  return parsed.data;
}

interface FlatIssue {
  readonly path: readonly PropertyKey[];
  readonly message: string;
}

/** Of a failed union only the branch that got inside the value says something useful; none did: the union's own text. */
function flatten(issue: z.core.$ZodIssue, prefix: readonly PropertyKey[]): FlatIssue[] {
  const path = [...prefix, ...issue.path];
  if (issue.code === 'invalid_union') {
    const inside = issue.errors.find((branch) => branch.some((inner) => inner.path.length > 0));
    if (inside !== undefined) return inside.flatMap((inner) => flatten(inner, path));
  }
  return [{ path, message: issue.message }];
}

function formatPath(path: readonly PropertyKey[]): string {
  return path.reduce<string>(
    (text, key) => (typeof key === 'number' ? `${text}[${key}]` : `${text}.${String(key)}`),
    'body',
  );
}
