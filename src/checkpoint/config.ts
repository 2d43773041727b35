import { WgrankError } from '../errors.ts';
import { quote } from './json-scan.ts';
import type { JsonObject, JsonValue } from './json-value.ts';

/** A key, or several spellings of one: the first is the current name, e.g. `['dtype', 'torch_dtype']`. */
export type ConfigKey = string | readonly [string, ...string[]];

/** Inclusive bounds. */
export interface Range {
  readonly min?: number;
  readonly max?: number;
}

/** What a value must be, in words and as a test; `accept` gives undefined for a value that breaks the rule. */
interface Rule<T> {
  readonly text: string;
  accept(value: JsonValue): T | undefined;
}

function isObject(value: JsonValue): value is JsonObject {
  return value instanceof Map;
}

function isArray(value: JsonValue): value is readonly JsonValue[] {
  return Array.isArray(value);
}

function describeRange({ min, max }: Range): string {
  if (min !== undefined && max !== undefined) return ` from ${min} to ${max}`;
  if (min !== undefined) return ` of at least ${min}`;
  return max === undefined ? '' : ` of at most ${max}`;
}

function isWithin(value: number, { min, max }: Range): boolean {
  return (min === undefined || value >= min) && (max === undefined || value <= max);
}

function integerRule(range: Range): Rule<number> {
  return {
    text: `a whole number${describeRange(range)}`,
    accept: (value) => (Number.isSafeInteger(value) && isWithin(Number(value), range) ? Number(value) + 0 : undefined),
  };
}

function numberRule(range: Range): Rule<number> {
  return {
    text: `a number${describeRange(range)}`,
    accept: (value) => (typeof value === 'number' && isWithin(value, range) ? value : undefined),
  };
}

function oneOfRule<T extends string>(values: readonly T[]): Rule<T> {
  return {
    text: values.length === 1 ? `only ${quote(String(values[0]))}` : `one of ${values.map(quote).join(', ')}`,
    accept: (value) => values.find((candidate) => candidate === value),
  };
}

function listRule<T>(element: Rule<T>, what: string): Rule<readonly T[]> {
  return {
    text: what,
    accept: (value) => {
      if (!isArray(value)) return undefined;
      const list: T[] = [];
      for (const entry of value) {
        const accepted = element.accept(entry);
        if (accepted === undefined) return undefined;
        list.push(accepted);
      }
      return list;
    },
  };
}

const stringRule: Rule<string> = {
  text: 'a string',
  accept: (value) => (typeof value === 'string' ? value : undefined),
};
const booleanRule: Rule<boolean> = {
  text: 'true or false',
  accept: (value) => (typeof value === 'boolean' ? value : undefined),
};
const objectRule: Rule<JsonObject> = { text: 'an object', accept: (value) => (isObject(value) ? value : undefined) };

/** A value for a message, cut to one line. */
function show(value: JsonValue): string {
  if (isObject(value)) return `an object of ${value.size} keys`;
  if (isArray(value))
    return value.length <= 8 ? `[${value.map(show).join(', ')}]` : `an array of ${value.length} elements`;
  return typeof value === 'string' ? quote(value) : String(value);
}

/**
 * A cursor over config.json that accounts for every key: each is read by one of the methods, declared without effect by
 * `ignore`, or named by `finish`. `null` counts as absent for the optional methods, as Hugging Face writes unset fields so.
 *
 * Every method throws WgrankError `config-invalid` naming file, key, value and rule.
 */
export class ConfigReader {
  readonly #values: JsonObject;
  readonly #file: string;
  readonly #path: string;
  readonly #seen = new Set<string>();
  readonly #children: ConfigReader[] = [];

  /** @param file its name in messages; @param path the key that leads to a nested object, with a trailing dot */
  constructor(value: JsonValue, file: string, path = '') {
    if (!isObject(value)) throw new WgrankError('config-invalid', 'config', `${file} is ${show(value)} (an object)`);
    this.#values = value;
    this.#file = file;
    this.#path = path;
  }

  /** Whether the key is present and not null. */
  has(key: ConfigKey): boolean {
    return this.#find(key) !== undefined;
  }

  integer(key: ConfigKey, range: Range = {}): number {
    return this.#required(key, integerRule(range));
  }

  optionalInteger(key: ConfigKey, range: Range = {}): number | undefined {
    return this.#optional(key, integerRule(range));
  }

  number(key: ConfigKey, range: Range = {}): number {
    return this.#required(key, numberRule(range));
  }

  optionalNumber(key: ConfigKey, range: Range = {}): number | undefined {
    return this.#optional(key, numberRule(range));
  }

  string(key: ConfigKey): string {
    return this.#required(key, stringRule);
  }

  optionalString(key: ConfigKey): string | undefined {
    return this.#optional(key, stringRule);
  }

  boolean(key: ConfigKey): boolean {
    return this.#required(key, booleanRule);
  }

  optionalBoolean(key: ConfigKey): boolean | undefined {
    return this.#optional(key, booleanRule);
  }

  oneOf<T extends string>(key: ConfigKey, values: readonly T[]): T {
    return this.#required(key, oneOfRule(values));
  }

  optionalOneOf<T extends string>(key: ConfigKey, values: readonly T[]): T | undefined {
    return this.#optional(key, oneOfRule(values));
  }

  strings(key: ConfigKey): readonly string[] {
    return this.#required(key, listRule(stringRule, 'an array of strings'));
  }

  optionalStrings(key: ConfigKey): readonly string[] | undefined {
    return this.#optional(key, listRule(stringRule, 'an array of strings'));
  }

  integers(key: ConfigKey, range: Range = {}): readonly number[] {
    return this.#required(key, listRule(integerRule(range), `an array of whole numbers${describeRange(range)}`));
  }

  optionalIntegers(key: ConfigKey, range: Range = {}): readonly number[] | undefined {
    return this.#optional(key, listRule(integerRule(range), `an array of whole numbers${describeRange(range)}`));
  }

  /** A nested object whose keys are accounted for by this reader's `finish` too. */
  object(key: ConfigKey): ConfigReader {
    return this.#child(this.#name(key), this.#required(key, objectRule));
  }

  optionalObject(key: ConfigKey): ConfigReader | undefined {
    const value = this.#optional(key, objectRule);
    return value === undefined ? undefined : this.#child(this.#name(key), value);
  }

  /** An object read as a whole, such as `id2label`. */
  entries(key: ConfigKey): JsonObject {
    return this.#required(key, objectRule);
  }

  optionalEntries(key: ConfigKey): JsonObject | undefined {
    return this.#optional(key, objectRule);
  }

  /** For a key that may be absent but has only one value that wgrank computes: anything else is refused with the reason. */
  mustBe(key: ConfigKey, expected: boolean | number | string, reason: string): void {
    const value = this.#take(key);
    if (value !== undefined && value !== expected) throw this.fail(key, `must be ${show(expected)}: ${reason}`);
  }

  /** Declares keys that do not change the result; absent ones are fine. */
  ignore(keys: Iterable<string>): void {
    for (const key of keys) this.#seen.add(key);
  }

  /** Throws when a key was neither read nor declared, here or in a nested reader. */
  finish(): void {
    const unread = this.#unread();
    if (unread.length === 0) return;
    const names = unread.slice(0, 20).join(', ') + (unread.length > 20 ? `, … (${unread.length} keys)` : '');
    const rule = 'wgrank does not know what they change, so it does not guess';
    throw new WgrankError('config-invalid', 'config', `${this.#file}: unknown keys ${names} (${rule})`);
  }

  /** An error about a key's value, for rules across several keys. */
  fail(key: ConfigKey, rule: string): WgrankError {
    const name = this.#name(key);
    const value = this.#values.get(name);
    const found = value === undefined ? `lacks ${this.#path}${name}` : `${this.#path}${name} is ${show(value)}`;
    return new WgrankError('config-invalid', 'config', `${this.#file}: ${found} (${rule})`);
  }

  #unread(): string[] {
    const own = [...this.#values.keys()]
      .filter((key) => !this.#seen.has(key))
      .map((key) => this.#path + printable(key));
    return [...own, ...this.#children.flatMap((child) => child.#unread())];
  }

  #child(key: string, value: JsonObject): ConfigReader {
    const child = new ConfigReader(value, this.#file, `${this.#path}${key}.`);
    this.#children.push(child);
    return child;
  }

  /** The spelling that is present, or the current one. */
  #name(key: ConfigKey): string {
    return this.#find(key)?.name ?? (typeof key === 'string' ? key : key[0]);
  }

  #find(key: ConfigKey): { readonly name: string; readonly value: NonNullable<JsonValue> } | undefined {
    for (const name of typeof key === 'string' ? [key] : key) {
      const value = this.#values.get(name) ?? null;
      if (value !== null) return { name, value };
    }
    return undefined;
  }

  #take(key: ConfigKey): NonNullable<JsonValue> | undefined {
    const found = this.#find(key);
    for (const name of typeof key === 'string' ? [key] : key) {
      this.#seen.add(name);
      const value = this.#values.get(name) ?? null;
      if (found === undefined || value === null || value === found.value) continue;
      throw this.fail(name, `${found.name} says ${show(found.value)}, and they mean the same`);
    }
    return found?.value;
  }

  #optional<T>(key: ConfigKey, rule: Rule<T>): T | undefined {
    const value = this.#take(key);
    if (value === undefined) return undefined;
    const accepted = rule.accept(value);
    if (accepted === undefined) throw this.fail(key, rule.text);
    return accepted;
  }

  #required<T>(key: ConfigKey, rule: Rule<T>): T {
    const value = this.#optional(key, rule);
    if (value === undefined) throw this.fail(key, rule.text);
    return value;
  }
}

/** Keys of an untrusted file in a message: plain ones as they are. */
function printable(key: string): string {
  return /^[\w.-]{1,100}$/.test(key) ? key : quote(key);
}
