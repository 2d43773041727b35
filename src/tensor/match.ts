import { WgrankError } from '../errors.ts';
import { describe, type Dim, type Tensor } from './tensor.ts';

/** A tensor and its axes' letters; `…` stands for any number of leading axes. */
export type Contract = readonly [tensor: Pick<Tensor, 'dtype' | 'shape'>, ...letters: string[]];

/**
 * Checks a shape contract with named sizes: the same letter must mean the same length wherever it stands.
 * `match('layerNorm', { x: [x, '…', 'C'], weight: [weight, 'C'] }).C`
 * @returns the length of every letter
 * @throws WgrankError `shape-mismatch` with all shapes
 */
export function match<L extends string = string>(
  op: string,
  contracts: Readonly<Record<string, Contract>>,
): Record<L, Dim> {
  const sizes = new Map<string, Dim>();
  const fail = (rule: string): never => {
    const shapes = Object.entries(contracts).map(([name, [tensor]]) => `${name} ${describe(tensor)}`);
    throw new WgrankError('shape-mismatch', op, `${rule}: ${shapes.join(' · ')}`);
  };
  for (const [name, [tensor, ...letters]] of Object.entries(contracts)) {
    const open = letters[0] === '…';
    const named = open ? letters.slice(1) : letters;
    const rank = tensor.shape.length;
    if (open ? rank < named.length : rank !== named.length) {
      fail(`${name} has ${rank} axes (expected [${letters.join(', ')}])`);
    }
    named.forEach((letter, i) => {
      const size = tensor.shape[rank - named.length + i]!;
      const known = sizes.get(letter) ?? size;
      if (known !== size) fail(`${letter} of ${name} is ${size} (expected ${known} as before)`);
      sizes.set(letter, size);
    });
  }
  return Object.fromEntries(sizes) as Record<L, Dim>;
}

/** A length that must be known when the graph is recorded, such as a hidden size. */
export function fixed(op: string, name: string, dim: Dim | undefined): number {
  if (typeof dim === 'number') return dim;
  throw new WgrankError(
    'shape-mismatch',
    op,
    `${name} is ${dim} (expected a length that does not depend on the batch)`,
  );
}
