import type { Tensor } from '../tensor/tensor.ts';

/** What may follow a matrix product in the same pass; shaders/lib/epilogue-*.wgsl define the arithmetic. */
export type Epilogue =
  | { readonly kind: 'none' }
  | { readonly kind: 'bias' | 'bias-gelu' | 'bias-gelu-tanh' | 'bias-tanh'; readonly bias: Tensor }
  | { readonly kind: 'residual'; readonly residual: Tensor }
  | { readonly kind: 'bias-residual'; readonly bias: Tensor; readonly residual: Tensor };

export const epilogueKinds = [
  'none',
  'bias',
  'bias-gelu',
  'bias-gelu-tanh',
  'bias-tanh',
  'residual',
  'bias-residual',
] as const;

/** Function files that an epilogue needs. */
export function epilogueFiles({ kind }: Epilogue): string[] {
  return kind === 'bias-gelu' ? [`epilogue-${kind}.wgsl`, 'erf.wgsl'] : [`epilogue-${kind}.wgsl`];
}

/** Tensors of bindings 4, 5, …. */
export function epilogueBindings(epilogue: Epilogue): Tensor[] {
  return [...('bias' in epilogue ? [epilogue.bias] : []), ...('residual' in epilogue ? [epilogue.residual] : [])];
}

/** The epilogue's part of a shape contract; the letters are those of the product's output `[…, N]`. */
export function epilogueContract(epilogue: Epilogue, rows: string): Record<string, [Tensor, ...string[]]> {
  return {
    ...('bias' in epilogue && { bias: [epilogue.bias, 'N'] }),
    ...('residual' in epilogue && { residual: [epilogue.residual, rows, 'N'] }),
  };
}
