import type { MarkedText } from './marked-text.ts';

/** The prompts of one query: ids that every document shares, and a text to tokenise per document. */
export interface PromptFrame {
  readonly before: readonly number[];
  readonly after: readonly number[];
  /** @returns the part of the prompt around each document that is tokenised as one text, in order */
  texts(documents: readonly string[], signal?: AbortSignal): Promise<readonly MarkedText[]>;
}

/** Where prompts come from. */
export interface PromptSource {
  /** What to call it in reports. */
  readonly name: string;
  frame(query: string, instruct: string | undefined, signal?: AbortSignal): Promise<PromptFrame>;
  close(): Promise<void>;
}
