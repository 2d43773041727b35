import { WgrankError } from '../errors.ts';
import { describe, elementBytes, elements, owner, type Sizes, type Tensor } from '../tensor/tensor.ts';
import type { Graph } from './graph.ts';

/** A tensor's place: which arena, and where in it. */
export interface Place {
  readonly arena: number;
  readonly offset: number;
  readonly bytes: number;
}

export interface Layout {
  readonly places: ReadonlyMap<Tensor, Place>;
  /** Bytes of each arena. */
  readonly arenas: readonly number[];
}

interface Span extends Place {
  readonly first: number;
  readonly last: number;
}

const alignment = 256; // at least every adapter's minStorageBufferOffsetAlignment

/** Bytes of a tensor when every named axis is at its capacity. */
export function capacityBytes(tensor: Tensor, capacity: Sizes): number {
  return Math.ceil((elements(tensor.shape, capacity) * elementBytes[tensor.dtype]) / 4) * 4;
}

/**
 * Places intermediates so that tensors that are alive at the same time never overlap: largest first, each at the lowest
 * offset that is free for its whole life.
 * @param limits largest buffer and largest binding of the adapter, bytes
 * @throws WgrankError `out-of-memory` when one tensor exceeds a binding
 */
export function layOut(graph: Graph, capacity: Sizes, limits: { buffer: number; binding: number }): Layout {
  checkViews(graph, capacity);
  const lives = lifetimes(graph);
  const bySize = [...lives].toSorted(([a], [b]) => capacityBytes(b, capacity) - capacityBytes(a, capacity));
  const spans = new Map<Tensor, Span>();
  const arenas: number[] = [];
  for (const [tensor, [first, last]] of bySize) {
    const bytes = capacityBytes(tensor, capacity);
    if (bytes > Math.min(limits.binding, limits.buffer)) {
      throw new WgrankError(
        'out-of-memory',
        'plan',
        `${tensor.name} ${describe(tensor)} needs ${bytes} bytes with ${JSON.stringify(capacity)} (the adapter binds at ` +
          `most ${limits.binding}: lower --max-batch-tokens)`,
      );
    }
    const busy = [...spans.values()].filter((span) => span.first <= last && first <= span.last);
    let arena = 0;
    let offset = lowestGap(busy, arena, bytes);
    while (offset + bytes > limits.buffer) offset = lowestGap(busy, ++arena, bytes);
    spans.set(tensor, { arena, offset, bytes, first, last });
    while (arenas.length <= arena) arenas.push(0);
    arenas[arena] = Math.max(arenas[arena]!, offset + bytes);
  }
  return { places: spans, arenas };
}

/** A view that is longer than its tensor would reach into what lies behind it. */
function checkViews(graph: Graph, capacity: Sizes): void {
  for (const tensor of [...graph.launches.flatMap(({ bindings }) => bindings), ...graph.outputs]) {
    if (!tensor?.of || elements(tensor.shape, capacity) === elements(tensor.of.shape, capacity)) continue;
    const shapes = `${describe(tensor)} of ${describe(tensor.of)} with ${JSON.stringify(capacity)}`;
    throw new WgrankError('shape-mismatch', 'plan', `${tensor.name} is read as ${shapes} (expected as many elements)`);
  }
}

/** First and last launch that touch each intermediate; outputs live to the end. */
function lifetimes(graph: Graph): Map<Tensor, [first: number, last: number]> {
  const lives = new Map<Tensor, [number, number]>();
  graph.launches.forEach((launch, i) => {
    for (const bound of launch.bindings) {
      if (bound?.role !== 'intermediate') continue;
      const tensor = owner(bound);
      const life = lives.get(tensor);
      if (life) life[1] = i;
      else if (launch.writes.includes(tensor)) lives.set(tensor, [i, i]);
      else throw new WgrankError('shape-mismatch', launch.op, `${tensor.name} is read before anything has written it`);
    }
  });
  for (const output of graph.outputs.map(owner)) {
    const life = lives.get(output);
    if (life) life[1] = graph.launches.length;
    else if (output.role === 'intermediate')
      throw new WgrankError('shape-mismatch', 'plan', `output ${output.name} is written by no launch`);
  }
  return lives;
}

function lowestGap(busy: readonly Span[], arena: number, bytes: number): number {
  const here = busy.filter((span) => span.arena === arena).toSorted((a, b) => a.offset - b.offset);
  let offset = 0;
  for (const span of here) {
    if (offset + bytes <= span.offset) break;
    offset = Math.max(offset, Math.ceil((span.offset + span.bytes) / alignment) * alignment);
  }
  return offset;
}
