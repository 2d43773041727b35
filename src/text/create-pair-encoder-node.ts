import { WgrankError } from '../errors.ts';
import type { EncodedPair, PairEncoder } from './encoded-pair.ts';
import { assemblePair, pairLimits, specialCount } from './pair-layout.ts';
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
    const limits = pairLimits(maxLength, layout);
    return {
      encode: async (query, documents, { signal } = {}) => {
        const [asked, ...found] = await pool.tokenize([query, ...documents], maxLength, signal);
        return found.map(({ ids, tokenCount }): EncodedPair => {
          const total = specials + asked!.tokenCount + tokenCount;
          // SGLang refuses a pair of exactly the limit, too.
          if (!truncate && total >= maxLength)
            throw new WgrankError(
              'input-too-long',
              '',
              `The input (${total} tokens) is longer than the model's context length (${maxLength} tokens).`,
            );
          return assemblePair(
            asked!,
            { ids, tokenCount },
            layout,
            truncate ? limits : { ...limits, maxQueryLength: maxLength },
          );
        });
      },
      close: () => pool.close(),
    };
  } catch (error) {
    await pool.close();
    throw error;
  }
}
