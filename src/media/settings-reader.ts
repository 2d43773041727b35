import { WgrankError } from '../errors.ts';

/**
 * Reads keys of a preprocessor file strictly; `null` counts as absent, as Hugging Face writes unset keys so. Other keys may stand
 * in the file, since transformers saves all that its processors know, except steps that are asked for.
 */
export class SettingsReader {
  readonly #values: ReadonlyMap<string, unknown>;
  readonly #file: string;
  readonly #path: string;

  /** @param file its name in messages; @param path the key that leads to a nested object, with a trailing dot */
  constructor(value: unknown, file: string, path = '') {
    this.#file = file;
    this.#path = path;
    if (!isObject(value))
      throw this.fail(`${path === '' ? 'the file' : path.slice(0, -1)} is ${show(value)} (an object)`);
    this.#values = new Map(Object.entries(value));
  }

  /** @throws WgrankError `config-invalid` */
  integer(key: string, min: number, max: number): number {
    return this.optionalInteger(key, min, max) ?? this.#lacks(key);
  }

  /** @throws WgrankError `config-invalid` */
  optionalInteger(key: string, min: number, max: number): number | undefined {
    const value = this.#take(key);
    if (value === undefined || (Number.isInteger(value) && isWithin(value, min, max)))
      return value as number | undefined;
    throw this.#wrong(key, value, `a whole number from ${min} to ${max}`);
  }

  /** @throws WgrankError `config-invalid` */
  optionalNumber(key: string, min: number, max: number): number | undefined {
    const value = this.#take(key);
    if (value === undefined || isWithin(value, min, max)) return value as number | undefined;
    throw this.#wrong(key, value, `a number from ${min} to ${max}`);
  }

  /** @throws WgrankError `config-invalid` */
  numbers(key: string, length: number, min: number, max: number, absent?: readonly number[]): readonly number[] {
    const value = this.#take(key) ?? absent ?? this.#lacks(key);
    const entries: readonly unknown[] = Array.isArray(value) ? value : [];
    if (entries.length === length && entries.every((entry) => isWithin(entry, min, max))) return entries as number[];
    throw this.#wrong(key, value, `${length} numbers from ${min} to ${max}`);
  }

  /** @throws WgrankError `config-invalid` */
  object(key: string): SettingsReader {
    return new SettingsReader(this.#take(key) ?? this.#lacks(key), this.#file, `${this.#path}${key}.`);
  }

  /**
   * For a key that may be absent but has only these values that wgrank computes.
   * @throws WgrankError `config-invalid`
   */
  mustBe(key: string, accepted: readonly (boolean | number | string)[]): void {
    const value = this.#take(key);
    if (value === undefined || accepted.some((one) => one === value)) return;
    const rule = accepted.length === 0 ? 'nothing' : accepted.map(show).join(' or ');
    throw this.#wrong(key, value, `${rule} here; wgrank does not compute anything else`);
  }

  /**
   * Refuses steps (`do_…`) other than these, unless they are off.
   * @throws WgrankError `config-invalid`
   */
  noStepsBut(known: readonly string[]): void {
    for (const key of this.#values.keys()) if (key.startsWith('do_') && !known.includes(key)) this.mustBe(key, [false]);
  }

  fail(what: string): WgrankError {
    return new WgrankError('config-invalid', 'config', `${this.#file}: ${what}`);
  }

  #take(key: string): unknown {
    return this.#values.get(key) ?? undefined;
  }

  #lacks(key: string): never {
    throw this.fail(`lacks ${this.#path}${key}`);
  }

  #wrong(key: string, value: unknown, rule: string): WgrankError {
    return this.fail(`${this.#path}${key} is ${show(value)} (${rule})`);
  }
}

const isObject = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const isWithin = (value: unknown, min: number, max: number): value is number =>
  typeof value === 'number' && value >= min && value <= max;

function show(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}
