/** One tokenised, truncated query–document pair, special tokens included, ready for the engine. */
export interface EncodedPair {
  /** Token ids, length = the pair's prompt tokens. */
  readonly ids: Int32Array;
  /** Tokens that truncation removed from query and document together; 0 when the pair is whole. */
  readonly truncatedTokens: number;
}

/** Turns texts into pairs off the event loop. Safe to call concurrently. */
export interface PairEncoder {
  /**
   * Encodes one query with each document, in the documents' order.
   * @throws WgrankError `input-too-long` when truncation is off and a pair exceeds the limit; `cancelled` on abort
   */
  encode(query: string, documents: readonly string[], signal?: AbortSignal): Promise<EncodedPair[]>;
  close(): Promise<void>;
}
