import { RerankResponseError, type ResponseFacts } from './errors.ts';

export type Fields = Readonly<Record<string, unknown>>;

export const isRecord = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Reads an answer field by field: what is not there is an error with its place, and never `undefined` later on. */
export class AnswerReader {
  readonly #facts: ResponseFacts;

  constructor(facts: ResponseFacts) {
    this.#facts = facts;
  }

  record(value: unknown, where: string): Fields {
    return isRecord(value) ? value : this.refuse(where, value, 'an object');
  }

  list(value: unknown, where: string): readonly unknown[] {
    return Array.isArray(value) ? value : this.refuse(where, value, 'a list');
  }

  text(value: unknown, where: string): string {
    return typeof value === 'string' ? value : this.refuse(where, value, 'a text');
  }

  flag(value: unknown, where: string): boolean {
    return typeof value === 'boolean' ? value : this.refuse(where, value, 'a boolean');
  }

  finite(value: unknown, where: string): number {
    return typeof value === 'number' && Number.isFinite(value) ? value : this.refuse(where, value, 'a finite number');
  }

  /** A whole number from 0 to below `end`. */
  count(value: unknown, where: string, end = Infinity): number {
    const number = this.finite(value, where);
    if (Number.isInteger(number) && number >= 0 && number < end) return number;
    return this.refuse(where, value, end === Infinity ? 'a whole number' : `a whole number below ${end}`);
  }

  texts(value: unknown, where: string): readonly string[] {
    return this.list(value, where).map((text, i) => this.text(text, `${where}[${i}]`));
  }

  refuse(where: string, value: unknown, rule: string): never {
    const found = value === undefined ? 'missing' : describe(value);
    const hint = 'is the base URL that of a wgrank server, without a wire format such as /cohere?';
    throw new RerankResponseError(`[rerank client] the answer's ${where} is ${found} (${rule}; ${hint})`, this.#facts);
  }
}

function describe(value: unknown): string {
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (isRecord(value)) return 'an object';
  return (JSON.stringify(value) ?? typeof value).slice(0, 60);
}
