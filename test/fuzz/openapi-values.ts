import { z } from 'zod';
import type { Random } from './random.ts';

export interface JsonSchema {
  readonly [key: string]: unknown;
  readonly $ref?: string;
  readonly anyOf?: readonly JsonSchema[];
  readonly oneOf?: readonly JsonSchema[];
  readonly type?: string | readonly string[];
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly items?: JsonSchema;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly minimum?: number;
  readonly minItems?: number;
}

const texts = [
  'a panda is a bear', 'q', '1 x', '漢字仮名', '\u{1f43c}\u200d', 'é'.repeat(40), '-2.5', '{"a":1}', '<s></s>', ' padded ', '\n', '', '\0',
  '\ud800', '__proto__', 'word '.repeat(200), '\u202e', 'null',
]; // prettier-ignore

/** Objects of no named keys are documents: of these forms. */
const looseObjects: readonly object[] = [
  { text: 'a bear' }, { text: '' }, { title: 'a', body: 'b', year: 1999 }, {}, { content: [{ type: 'text', text: 'a' }] }, { image: 'data:,' },
]; // prettier-ignore

/** What is of none of the lax forms either that numbers and yes or no are read from. */
const wrong: Readonly<Record<string, readonly unknown[]>> = {
  string: [5, true, {}, [], 1.5],
  integer: [{}, [], 'many', 1.5, '1.5', ''],
  number: [{}, [], 'fast', true],
  boolean: [{}, [], 2, 'maybe', -1],
  array: [5, true],
  object: [5, true, []],
};

/** Values that fit the schemas of an OpenAPI document, and values that do not. */
export class ValueMaker {
  readonly #schemas: Readonly<Record<string, JsonSchema>>;
  readonly #checkers = new WeakMap<JsonSchema, z.ZodType>();

  constructor(schemas: Readonly<Record<string, JsonSchema>>) {
    this.#schemas = schemas;
  }

  fitting(schema: JsonSchema, random: Random): unknown {
    if (schema.$ref !== undefined) return this.fitting(this.#named(schema.$ref), random);
    const choices = schema.anyOf ?? schema.oneOf;
    // The first choice is a text mostly: of bodies full of pictures a model of texts says but one thing.
    if (choices !== undefined) return this.fitting(random.chance(70) ? choices[0]! : random.pick(choices), random);
    if ('const' in schema) return schema.const;
    if (schema.enum !== undefined) return random.pick(schema.enum);
    const type = typeof schema.type === 'object' ? random.pick(schema.type) : schema.type;
    switch (type) {
      case 'null':
        return null;
      case 'string':
        return random.chance(85) ? texts[random.below(10)] : random.pick(texts);
      case 'integer':
        return (schema.minimum ?? -1) + random.pick([0, 1, 2, 5, 1000, 2 ** 31, 2 ** 53]);
      case 'number':
        return random.pick([0.5, 1, 24, 1e300]);
      case 'boolean':
        return random.chance(50);
      case 'array': {
        const length = (schema.minItems ?? 0) + random.pick([0, 1, 1, 2, 3, 8]);
        return Array.from({ length }, () => this.fitting(schema.items ?? { type: 'string' }, random));
      }
      case 'object':
        return this.#object(schema, random);
      default:
        return random.pick(texts);
    }
  }

  /** A fitting object with one key missing, or of a wrong kind. Undefined where this schema has no such key. */
  unfitting(schema: JsonSchema, random: Random): unknown {
    const { properties = {}, required = [] } = schema.$ref === undefined ? schema : this.#named(schema.$ref);
    const value = this.fitting(schema, random) as Record<string, unknown>;
    const key = random.pick(Object.keys(properties));
    if (required.includes(key) && random.chance(30)) delete value[key];
    else {
      const kinds = this.#kindsOf(properties[key]!);
      const values = Object.values(wrong).flat();
      const unfit = values.filter((one) =>
        kinds.every((kind) => wrong[kind] === undefined || includes(wrong[kind], one)),
      );
      if (kinds.length === 0 || unfit.length === 0) return undefined;
      value[key] = random.pick(unfit);
    }
    return this.checker(schema).safeParse(value).success ? undefined : value;
  }

  checker(schema: JsonSchema): z.ZodType {
    const known = this.#checkers.get(schema);
    if (known !== undefined) return known;
    // Looked up by name: documents have the places of their schemas, zod knows `$defs`.
    const text = JSON.stringify({ ...schema, $defs: this.#schemas });
    const checker = z.fromJSONSchema(JSON.parse(text.replaceAll('#/components/schemas/', '#/$defs/')));
    this.#checkers.set(schema, checker);
    return checker;
  }

  #named(reference: string): JsonSchema {
    return this.#schemas[reference.split('/').at(-1)!]!;
  }

  #object({ properties = {}, required = [] }: JsonSchema, random: Random): unknown {
    const entries = Object.entries(properties);
    if (entries.length === 0) return random.pick(looseObjects);
    const chosen = entries.filter(([key]) => required.includes(key) || random.chance(25));
    return Object.fromEntries(chosen.map(([key, one]) => [key, this.fitting(one, random)]));
  }

  /** Types that a value may have. */
  #kindsOf(schema: JsonSchema): string[] {
    if (schema.$ref !== undefined) return this.#kindsOf(this.#named(schema.$ref));
    const choices = schema.anyOf ?? schema.oneOf;
    if (choices !== undefined) return [...new Set(choices.flatMap((one) => this.#kindsOf(one)))];
    return [schema.type ?? []].flat();
  }
}

const includes = (values: readonly unknown[], value: unknown) =>
  values.some((one) => JSON.stringify(one) === JSON.stringify(value));
