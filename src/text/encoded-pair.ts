/** One tokenised, truncated query–document pair, special tokens included, ready for the engine. */
export interface EncodedPair {
  /** Token ids, length = the pair's prompt tokens. */
  readonly ids: Int32Array;
  /** Tokens that truncation removed from query and document together; 0 when the pair is whole. */
  readonly truncatedTokens: number;
}

export interface EncodeOptions {
  readonly signal?: AbortSignal | undefined;
  /** Task instruction of a decoder's prompt; absent or empty: the prompt's default. Cross-encoders have none and ignore it. */
  readonly instruct?: string | undefined;
}

/** Turns texts into pairs off the event loop. Safe to call concurrently. */
export interface PairEncoder {
  /** What to call a decoder's prompt in reports; cross-encoders have none. */
  readonly prompt?: string;
  /**
   * Encodes one query with each document, in the documents' order.
   * @throws WgrankError `input-too-long` when truncation is off and a pair exceeds the limit, or when nothing of a document would
   * remain; `template-invalid` when the operator's chat template fails over these texts; `cancelled` on abort
   */
  encode(query: string, documents: readonly string[], options?: EncodeOptions): Promise<EncodedPair[]>;
  close(): Promise<void>;
}
