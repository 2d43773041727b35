import { z } from 'zod';
import type { Exchange, HttpAnswer } from './http-exchange.ts';

/** Statuses that the documentation has. */
const declared: ReadonlySet<number> = new Set([
  200, 206, 304, 308, 400, 401, 403, 404, 405, 408, 412, 413, 415, 416, 417, 422, 429, 431, 503, 504,
]);
/** HTTP itself is at fault: no route and no wire format is known yet. */
const ofHttp: ReadonlySet<number> = new Set([400, 408, 413, 417, 431]);

interface Schema {
  readonly [key: string]: unknown;
}
export interface ApiDocument {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> };
}
interface Operation {
  readonly responses: { readonly default: { readonly content: { readonly 'application/json': { schema: Schema } } } };
}

const ofPrefix: Readonly<Record<string, string>> = {
  sglang: 'SglangError',
  jina: 'Error',
  cohere: 'CohereError',
  vllm: 'VllmError',
  tei: 'TeiError',
  voyage: 'VoyageError',
};

/** What is wrong with an exchange, by the server's own document. */
export class Verdict {
  readonly #shapes: ReadonlyMap<string, z.ZodType>;
  /** Schemas of errors that each path has without a prefix. */
  readonly #ofPath: ReadonlyMap<string, readonly string[]>;

  constructor({ paths, components }: ApiDocument) {
    const names = Object.keys(components.schemas).filter((name) => name.endsWith('Error'));
    this.#shapes = new Map(names.map((name) => [name, z.fromJSONSchema(closed(components.schemas[name]!))]));
    this.#ofPath = new Map(
      Object.entries(paths).map(([path, item]) => {
        const { schema } = Object.values(item).find((one) => 'responses' in one)!.responses.default.content[
          'application/json'
        ];
        const references = ('anyOf' in schema ? schema['anyOf'] : [schema]) as { $ref: string }[];
        return [path, references.slice(0, 1).map(({ $ref }) => $ref.split('/').at(-1)!)];
      }),
    );
  }

  /** @returns undefined when all is well */
  judge({ answers, owed, reset, late, rest }: Exchange): string | undefined {
    if (late !== undefined) return `unanswered after 10 s: ${late}`;
    if (rest !== '') return `half an answer: ${JSON.stringify(rest)}`;
    const wrong = answers.map((answer) => this.#judgeAnswer(answer)).find((what) => what !== undefined);
    if (wrong !== undefined) return wrong;
    const closes = answers.at(-1)?.headers.get('connection') === 'close';
    if (answers.length < owed && !closes && !reset) return `${answers.length} answers to ${owed} whole requests`;
    return undefined;
  }

  #judgeAnswer({ status, headers, body, request }: HttpAnswer): string | undefined {
    const what = `${request?.method} ${request?.url.slice(0, 200)}: ${status} ${body.slice(0, 300)}`;
    if (!declared.has(status)) return `undeclared status: ${what}`;
    if (status === 503 && !headers.has('retry-after')) return `503 without Retry-After: ${what}`;
    if (status < 400 || request?.method === 'HEAD') return undefined;
    const names = [...this.#shapesOf(request?.url), ...(ofHttp.has(status) ? ['SglangError'] : [])];
    if (headers.get('content-type') !== 'application/json; charset=utf-8') return `an error that is no JSON: ${what}`;
    const value = parseOrUndefined(body);
    return names.some((name) => this.#shapes.get(name)!.safeParse(value).success)
      ? undefined
      : `an error that is not of the form ${names.join(' or ')}: ${what}`;
  }

  #shapesOf(url = ''): readonly string[] {
    const path = /^(?:http:\/\/[^/]*)?([^?#]*)/.exec(url)![1]!;
    const [, first = ''] = path.split('/');
    if (Object.hasOwn(ofPrefix, first)) return [ofPrefix[first]!];
    // OpenAI's form of a model that does not exist.
    if (path.startsWith('/v1/models/')) return ['OpenAiError', 'SglangError'];
    const known = this.#ofPath.get(path.toLowerCase().replace(/(.)\/$/, '$1'));
    // Without a prefix a body of TEI's gets errors of TEI's.
    return known === undefined ? ['SglangError'] : [...known, 'TeiError'];
  }
}

/** Without any key that is not named. */
function closed(schema: Schema): Schema {
  return JSON.parse(JSON.stringify(schema), (_key, value: unknown) =>
    typeof value === 'object' && value !== null && 'properties' in value
      ? { ...value, additionalProperties: false }
      : value,
  ) as Schema;
}

function parseOrUndefined(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
