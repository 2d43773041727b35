import type { Epilogue } from '../../src/ops/epilogue.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';

/** An epilogue of any kind, with the operands that it has. */
export function epilogueOf(kind: Epilogue['kind'], bias: () => Tensor, residual: () => Tensor): Epilogue {
  switch (kind) {
    case 'none':
      return { kind };
    case 'residual':
      return { kind, residual: residual() };
    case 'bias-residual':
      return { kind, bias: bias(), residual: residual() };
    default:
      return { kind, bias: bias() };
  }
}
