import { WgrankError } from '../errors.ts';

export type JsonObject = Readonly<Record<string, unknown>>;

/** @returns the error for a value of tokenizer.json that wgrank cannot follow */
export function invalidTokenizer(where: string, what: string): WgrankError {
  return new WgrankError('tokenizer-invalid', 'tokenizer.json', `${where}: ${what}`);
}

/** The value as text for an error, cut short. */
export function show(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}

export function asObject(value: unknown, where: string): JsonObject {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw invalidTokenizer(where, `${show(value)} is not an object`);
  return value as JsonObject;
}

export function asArray(value: unknown, where: string): readonly unknown[] {
  if (!Array.isArray(value)) throw invalidTokenizer(where, `${show(value)} is not a list`);
  return value;
}

/** A string without lone surrogates. */
export function asText(value: unknown, where: string): string {
  if (typeof value !== 'string' || /\p{Surrogate}/u.test(value))
    throw invalidTokenizer(where, `${show(value)} is not a text`);
  return value;
}

export function asBoolean(value: unknown, where: string): boolean {
  if (typeof value !== 'boolean') throw invalidTokenizer(where, `${show(value)} is neither true nor false`);
  return value;
}

/** An id of a vocabulary: below 2^30. */
export function asId(value: unknown, where: string): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value >= 2 ** 30)
    throw invalidTokenizer(where, `${show(value)} is not a token id`);
  return value;
}
