import { WgrankError } from '../errors.ts';
import type { CutOptions, EncodedPair, PairEncoder } from './encoded-pair.ts';
import { assemblePair, pairLimits, specialCount, type PairLayout } from './pair-layout.ts';
import type { TextTokens } from './tokenizer-protocol.ts';
import { TokenizerPool } from './tokenizer-pool-node.ts';

export interface PairEncoderOptions {
  /** Folder with tokenizer.json. */
  readonly modelDir: string;
  /** Most tokens of a pair, special tokens included. */
  readonly maxLength: number;
  /** True: cut longer pairs, cross-encoders' by FlagEmbedding's rule. False: refuse them. */
  readonly truncate: boolean;
  /** Worker threads; default one less than the cores, 1 to 4. */
  readonly workers?: number | undefined;
}

/**
 * Starts worker threads that encode query–document pairs for an XLM-RoBERTa model.
 * The query is tokenised once per call, each document alone, and the ids are put together as the model's template says.
 * @throws WgrankError `tokenizer-invalid`; `config-invalid` when `maxLength` leaves no room for text
 */
export async function createPairEncoder(options: PairEncoderOptions): Promise<PairEncoder> {
  const { maxLength, truncate } = options;
  const pool = new TokenizerPool({ modelDir: options.modelDir, workers: options.workers });
  try {
    const { layout } = await pool.loaded();
    if (layout.kind !== 'pair')
      throw new WgrankError(
        'tokenizer-invalid',
        'tokenizer.json',
        'model: a cross-encoder needs a Unigram model, not BPE',
      );
    const specials = specialCount(layout);
    if (!Number.isInteger(maxLength) || maxLength <= specials)
      throw new WgrankError(
        'config-invalid',
        'tokenizer',
        `a pair has at most ${maxLength} tokens (expected an integer above its ${specials} special tokens)`,
      );
    return {
      encode: async (query, documents, { signal, ...cut } = {}) => {
        const fit = fitter(layout, { ...cut, truncate: cut.truncate ?? truncate }, maxLength);
        const [asked, ...found] = await pool.tokenize([query, ...documents], maxLength, signal);
        return found.map((document) => fit(asked!, document));
      },
      close: () => pool.close(),
    };
  } catch (error) {
    await pool.close();
    throw error;
  }
}

/** What puts the pairs of one request together. @throws WgrankError `input-invalid` when the request leaves no room for text */
function fitter(
  layout: PairLayout,
  { truncate, maxDocumentTokens, maxQueryTokens, maxPairTokens }: CutOptions,
  longest: number,
): (query: TextTokens, document: TextTokens) => EncodedPair {
  const specials = specialCount(layout);
  const maxLength = Math.min(longest, maxPairTokens ?? longest);
  if (maxLength <= specials)
    throw new WgrankError(
      'input-invalid',
      '',
      `A pair of at most ${maxLength} tokens has no room beside its ${specials} special tokens.`,
    );
  const limits = pairLimits(maxLength, layout);
  const most = truncate ? limits.maxQueryLength : maxLength;
  const cuts = {
    maxLength,
    maxQueryLength: Math.min(most, maxQueryTokens ?? most),
    maxDocumentLength: maxDocumentTokens,
  };
  return (query, document) => {
    const asked = Math.min(query.tokenCount, maxQueryTokens ?? query.tokenCount);
    const total = specials + asked + Math.min(document.tokenCount, maxDocumentTokens ?? document.tokenCount);
    // SGLang refuses a pair of exactly the limit, too.
    if (!truncate && total >= maxLength)
      throw new WgrankError(
        'input-too-long',
        '',
        `The input (${total} tokens) is longer than the model's context length (${maxLength} tokens).`,
      );
    return assemblePair(query, document, layout, cuts);
  };
}
