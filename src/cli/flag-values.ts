import { InvalidArgumentError, Option } from 'commander';

export function nonEmpty(text: string): string {
  if (text.trim() === '') throw new InvalidArgumentError('It must not be empty.');
  return text;
}

/** Decimal digits only: `1e3`, `0x10`, `1_000` and fractions are typing errors here. */
export function integer(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
    if (!(value >= min && value <= max))
      throw new InvalidArgumentError(`It must be a whole number from ${min} to ${max}.`);
    return value;
  };
}

/** One of some words, or a word that stands for one. */
export function choice<T extends string>(
  words: readonly T[],
  synonyms: Readonly<Record<string, T>> = {},
): (text: string) => T {
  return (text) => {
    const word = Object.hasOwn(synonyms, text) ? synonyms[text] : words.find((known) => known === text);
    if (word === undefined) throw new InvalidArgumentError(`It must be one of ${words.join(', ')}.`);
    return word;
  };
}

/** A flag that may be given several times; its environment twin separates with commas. */
export class RepeatableOption extends Option {
  readonly item: (text: string) => string;

  /** @param item checks one value */
  constructor(flags: string, description: string, item: (text: string) => string = nonEmpty) {
    super(flags, description);
    this.item = item;
    let given: string[] | undefined;
    this.argParser<string[]>((text, previous) => {
      // What stands there before the first one is the default.
      given = previous === given && given !== undefined ? [...given, item(text)] : [item(text)];
      return given;
    });
  }
}
