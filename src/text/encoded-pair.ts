/** One tokenised, truncated query–document pair, special tokens included, ready for the engine. */
export interface EncodedPair {
  /** Token ids, length = the pair's prompt tokens. */
  readonly ids: Int32Array;
  /** Tokens that truncation removed from query and document together; 0 when the pair is whole. */
  readonly truncatedTokens: number;
}

/** How a request wants its pairs cut; what it leaves out is as the encoder was told at its start. */
export interface CutOptions {
  /** True cuts pairs that are too long, false refuses them. */
  readonly truncate?: boolean | undefined;
  /** Tokens of a document's text at the most; the rest is cut whatever `truncate` says. */
  readonly maxDocumentTokens?: number | undefined;
  /** Tokens of the query at the most; cross-encoders alone can do it. */
  readonly maxQueryTokens?: number | undefined;
  /** Tokens of a pair at the most, where that is less than the encoder's own limit. */
  readonly maxPairTokens?: number | undefined;
}

export interface EncodeOptions extends CutOptions {
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
