import { TokenMeter } from '../nn/token-meter.ts';
import type { EnginePair } from '../rerank/engine.ts';

/** Neighbouring pairs of a call. */
export interface Slice {
  readonly first: number;
  /** One past the last. */
  readonly end: number;
  /** Tokens that they push through the layers. */
  readonly tokens: number;
}

/**
 * Cuts a call into slices that fill a batch each. Pairs stay in order, so that what neighbours begin with in common stays together.
 * @param budget tokens of a slice; a longer pair makes a slice of its own
 * @param shares whether the model computes once what neighbours begin with in common
 */
export function cutSlices(pairs: readonly EnginePair[], budget: number, shares: boolean): Slice[] {
  const slices: Slice[] = [];
  let meter = new PairMeter(shares);
  let first = 0;
  for (let i = 0; i < pairs.length; i++) {
    const before = meter.tokens;
    meter.add(pairs[i]!);
    if (i === first || meter.tokens <= budget) continue;
    slices.push({ first, end: i, tokens: before });
    first = i;
    meter = new PairMeter(shares);
    meter.add(pairs[i]!);
  }
  if (first < pairs.length) slices.push({ first, end: pairs.length, tokens: meter.tokens });
  return slices;
}

/**
 * Pads of different pictures have the same ids. So pairs that show different pictures count as sharing nothing: a little more than
 * they cost, never less.
 */
class PairMeter {
  readonly #shares: boolean;
  #meter: TokenMeter;
  /** Tokens of the meters before. */
  #done = 0;
  #last: EnginePair | undefined;

  constructor(shares: boolean) {
    this.#shares = shares;
    this.#meter = new TokenMeter(shares);
  }

  get tokens(): number {
    return this.#done + this.#meter.tokens;
  }

  add(pair: EnginePair): void {
    if (this.#shares && this.#last && !showsTheSame(this.#last, pair)) {
      this.#done += this.#meter.tokens;
      this.#meter = new TokenMeter(true);
    }
    this.#meter.add(pair.ids);
    this.#last = pair;
  }
}

function showsTheSame({ media: a = [] }: EnginePair, { media: b = [] }: EnginePair): boolean {
  return a.length === b.length && a.every((one, i) => one.hash === b[i]!.hash);
}
