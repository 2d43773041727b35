import type { EnginePair } from '../rerank/engine.ts';
import type { ScoreOptions } from '../rerank/rerank-phase.ts';
import type { Slice } from './cut-slices.ts';
import type { Lane } from './rotation.ts';

/** A slice whose turn it is. */
export interface Ticket {
  readonly call: QueuedCall;
  readonly slice: Slice;
}

export interface QueuedCallParts {
  readonly pairs: readonly EnginePair[];
  readonly slices: readonly Slice[];
  /** Whose call it is; calls without a group are one group. */
  readonly group: string | undefined;
  /** Calls with the same one are one request. */
  readonly request: object;
  readonly arrivedAt: number;
  /** When its time is over. */
  readonly endsAt: number;
  readonly observe: ScoreOptions['observe'];
  resolve(logits: Float32Array): void;
  reject(reason: Error): void;
}

/** One call on its way through the queue. */
export class QueuedCall implements Lane<Ticket> {
  readonly parts: QueuedCallParts;
  /** Aborts what is at the engine. */
  readonly controller = new AbortController();
  readonly #logits: Float32Array;
  readonly #slices: readonly Slice[];
  #taken = 0;
  #unanswered: number;
  #waitingTokens = 0;
  /** Undoes what ties it to its deadline and its caller. */
  untie: () => void = () => undefined;
  startedAt: number | undefined;
  settled = false;

  constructor(parts: QueuedCallParts) {
    this.parts = parts;
    this.#slices = parts.slices;
    this.#logits = new Float32Array(parts.pairs.length);
    this.#unanswered = parts.slices.length;
    for (const { tokens } of parts.slices) this.#waitingTokens += tokens;
  }

  /** Tokens of the slices that are not taken. */
  get waitingTokens(): number {
    return this.#waitingTokens;
  }

  /** Pairs of the slices that are not taken. */
  get waitingPairs(): number {
    return this.parts.pairs.length - (this.#slices[this.#taken]?.first ?? this.parts.pairs.length);
  }

  /** Slices at the engine. */
  get running(): number {
    return this.#unanswered - (this.#slices.length - this.#taken);
  }

  next(): number | undefined {
    return this.#slices[this.#taken]?.tokens;
  }

  take(): Ticket {
    const slice = this.#slices[this.#taken];
    if (slice === undefined) throw new TypeError('every slice is taken');
    this.#taken++;
    this.#waitingTokens -= slice.tokens;
    return { call: this, slice };
  }

  /** @returns the call's logits once this was the last slice */
  answer({ first, end }: Slice, logits: Float32Array): Float32Array | undefined {
    if (logits.length !== end - first)
      throw new TypeError(`the engine answered ${logits.length} logits for ${end - first} pairs`);
    this.#logits.set(logits, first);
    this.#unanswered--;
    return this.#unanswered === 0 ? this.#logits : undefined;
  }
}
