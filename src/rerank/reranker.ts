import type { CutOptions } from '../text/encoded-pair.ts';
import type { EngineInfo, EngineStats } from './engine.ts';
import type { RerankPhase } from './rerank-phase.ts';

/** A part of a query or document, as in the OpenAI and SGLang message format. */
export type ContentPart =
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'image_url'; readonly image_url: { readonly url: string } }
  | { readonly type: 'video_url'; readonly video_url: VideoUrl };

export interface VideoUrl {
  /** A clip's file, or its frames as pictures, in order. */
  readonly url: string | readonly string[];
  /** Of a list: frames that go by in a second. Default 2, as the official code. Files say it themselves. */
  readonly fps?: number | null | undefined;
}

export type Content = string | readonly ContentPart[];

export interface ScoredDocument {
  /** Position in the request. */
  readonly index: number;
  /** The model's answer: a raw logit for cross-encoders, p(yes) for decoders. */
  readonly score: number;
  readonly logit: number;
  readonly promptTokens: number;
  readonly truncatedTokens: number;
}

export interface RerankOptions extends CutOptions {
  /** Task instruction of a decoder's prompt; absent or empty: the prompt's default. Cross-encoders ignore it. */
  readonly instruct?: string;
  /** Keep the best n; default all. */
  readonly topN?: number;
  readonly signal?: AbortSignal;
  /** Milliseconds from now, after which the call rejects with `deadline-exceeded` and its work is given up. Default: any time. */
  readonly deadlineMs?: number;
  /** Groups get equal shares of an engine that has a queue, such as a group for each API key; others have none. */
  readonly group?: string;
  /** Calls with the same object are one request to such a queue. Default: each its own. */
  readonly request?: object;
  /** Told of each part of the work as it ends: for logs and metrics. */
  readonly observe?: (phase: RerankPhase) => void;
}

/** What a server, a command line or a Node application talks to: texts in, and pictures where the model sees; ranked documents out. */
export interface Reranker {
  readonly info: EngineInfo;
  /** @returns documents by descending logit; equal ones keep their request order */
  rerank(query: Content, documents: readonly Content[], options?: RerankOptions): Promise<ScoredDocument[]>;
  stats(): Promise<EngineStats>;
  close(): Promise<void>;
}
