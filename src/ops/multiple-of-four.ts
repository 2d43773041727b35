import { WgrankError } from '../errors.ts';
import { fixed } from '../tensor/match.ts';
import type { Dim } from '../tensor/tensor.ts';

/** A fixed length that kernels read four elements at a time. @throws WgrankError `shape-mismatch` */
export function multipleOfFour(op: string, name: string, dim: Dim | undefined): number {
  const size = fixed(op, name, dim);
  if (size % 4 !== 0) {
    throw new WgrankError(
      'shape-mismatch',
      op,
      `${name} is ${size} (kernels read four elements at a time: expected a multiple of 4)`,
    );
  }
  return size;
}
