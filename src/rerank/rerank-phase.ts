/** A part of a call, told when it ends, whether well or not. Times are `performance.now()`, in milliseconds. */
export type RerankPhase = EncodePhase | ScorePhase;

/** Texts and pictures became pairs: tokens, prompts, decoded media. Large calls with pictures have several. */
export interface EncodePhase {
  readonly phase: 'encode';
  readonly startedAt: number;
  readonly endedAt: number;
  readonly pairs: readonly PairTokens[];
}

/** Pairs were at the engine. While one window is scored the next one is encoded, so that phases overlap. */
export interface ScorePhase {
  readonly phase: 'score';
  readonly startedAt: number;
  readonly endedAt: number;
  /** Of that time, what passed before the engine took the first of them; 0 where there is no queue. */
  readonly queueMs: number;
}

export interface PairTokens {
  readonly promptTokens: number;
  readonly truncatedTokens: number;
}

/** What an engine with a queue says of a call of `score`. */
export interface ScoreTiming {
  /** Until the first pair went to the engine, or until the call ended. */
  readonly queuedMs: number;
}

/** What a call may tell an engine that has a queue; others ignore it. */
export interface ScoreOptions {
  /** Groups get equal shares of the engine, such as one group per API key. */
  readonly group?: string | undefined;
  /** Calls with the same object are one request: they share its turns, and once one is let in the others are. Default: each its own. */
  readonly request?: object | undefined;
  /** The time limit of the call in milliseconds from now. */
  readonly deadlineMs?: number | undefined;
  /** Called once, when the call ends. */
  readonly observe?: ((timing: ScoreTiming) => void) | undefined;
}
