import type { ModelConfig } from './model-folder.ts';

/**
 * Documents of equal length (no engine has to pad), the same for everyone who asks with the same sizes.
 * @returns token ids `<s> … </s>` without the pad id
 */
export function randomDocuments(config: ModelConfig, count: number, tokens: number): number[][] {
  let state = 0x2545f491;
  const next = () => {
    // xorshift32 (Marsaglia, "Xorshift RNGs", 2003)
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
  return Array.from({ length: count }, () =>
    Array.from({ length: tokens }, (_, index) => {
      if (index === 0) return 0;
      if (index === tokens - 1) return 2;
      return 3 + (next() % (config.vocab_size - 3));
    }),
  );
}

/**
 * Floating-point operations of the matrix products for one document, a multiply-add being two. Counted for the whole
 * model whatever an engine leaves out, so that FLOP/s are docs/s in another unit.
 */
export function countFlops(config: ModelConfig, tokens: number): number {
  const { hidden_size: hidden, intermediate_size: inner, num_hidden_layers: layers } = config;
  const linear = 2 * tokens * (4 * hidden * hidden + 2 * hidden * inner);
  const attention = 2 * 2 * tokens * tokens * hidden;
  return layers * (linear + attention) + 2 * hidden * (hidden + 1);
}
