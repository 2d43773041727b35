import { z } from 'zod';

/** zod's error callback: SGLang's library says `Field required` when a key is absent. */
export const expected = (what: string) => (issue: { input?: unknown }) =>
  issue.input === undefined ? 'Field required' : `Input should be ${what}`;

export const text = z.string({ error: expected('a valid string') });

const anInteger = 'a valid integer';
export const wholeNumber = z.preprocess(
  readLaxInteger,
  z
    .number({ error: expected(anInteger) })
    .refine(Number.isInteger, { error: `Input should be ${anInteger}` })
    .meta({ type: 'integer' }),
);

export const yesOrNo = z.preprocess(readLaxBoolean, z.boolean({ error: expected('a valid boolean') }).nullish());

/** Elements of a list that is no list of documents: far more than anyone means. Each wrong one costs an issue of the schema's. */
const maxListed = 5000;

/** Stands for a list that is too long, so that its elements are not looked at: 49,000 wrong ones would take 150 ms. */
class LongList {
  readonly length: number;

  constructor(length: number) {
    this.length = length;
  }
}

const hideLongList = (sent: unknown) =>
  Array.isArray(sent) && sent.length > maxListed ? new LongList(sent.length) : sent;

const expectedList = (issue: { input?: unknown }) =>
  issue.input instanceof LongList
    ? `List should have at most ${maxListed} items, not ${issue.input.length}`
    : expected('a valid list')(issue);

/** A list of anything but documents, whose number has a limit of its own. */
export const listOf = <T extends z.ZodType>(element: T) =>
  z.preprocess(hideLongList, z.array(element, { error: expectedList }).meta({ maxItems: maxListed }));

/** A whole number of at least `min`. */
export const countFrom = (min: number, error = `Input should be greater than or equal to ${min}`) =>
  wholeNumber.refine((n) => n >= min, { error }).meta({ minimum: min });

/** pydantic's lax mode: booleans, whole floats and decimal strings count as integers. */
function readLaxInteger(value: unknown): unknown {
  if (typeof value === 'boolean') return Number(value);
  if (typeof value !== 'string') return value;
  return /^\s*[+-]?\d+(_\d+)*(\.0+)?\s*$/.test(value) ? Number(value.replaceAll('_', '')) : value;
}

const truthWords = new Map<unknown, boolean>([
  ...['1', 'on', 't', 'true', 'y', 'yes', 1].map((word) => [word, true] as const),
  ...['0', 'off', 'f', 'false', 'n', 'no', 0].map((word) => [word, false] as const),
]);

/** pydantic's lax mode: 0, 1 and its twelve words, in any case. */
function readLaxBoolean(value: unknown): unknown {
  return truthWords.get(typeof value === 'string' ? value.toLowerCase() : value) ?? value;
}
