import { WgrankError } from '../errors.ts';

/**
 * The eps of a mean square. Kernels sum squares times 2^-64, which underflow below 1e-19: a smaller eps would show it.
 * @throws WgrankError `config-invalid`
 */
export function usableEps(op: string, eps: number): number {
  if (eps >= 1e-12 && eps <= 1) return eps;
  throw new WgrankError('config-invalid', op, `eps is ${eps} (expected 1e-12 … 1: smaller squares are lost)`);
}
