import type { Plan, RowCopy } from '../graph/plan.ts';
import type { VisionModel, VisionRecording } from '../models/model.ts';
import { eachRow, RowRuns, type RowRun } from './row-runs.ts';
import type { Sequence, VisualUnit } from './visual-pairs.ts';

export interface VisualStoreParts {
  readonly vision: VisionModel;
  readonly recording: VisionRecording;
  /** The vision tower's plan, and the main one, whose stores it fills. */
  readonly tower: Plan;
  readonly main: Plan;
  readonly tileRows: number;
  /** Rows of the stores: at least the tokens of a batch. */
  readonly rows: number;
  /** Patches of a run of the tower at the most. */
  readonly patches: number;
}

/**
 * What the vision tower made of the latest pictures, on the GPU, in as many rows as a batch has tokens. A picture that is there
 * already is not encoded again; the one that was not needed for longest makes room.
 */
export class VisualStore {
  readonly #parts: VisualStoreParts;
  readonly #free: RowRuns;
  /** By key, the one that was needed last at the end. */
  readonly #kept = new Map<string, readonly RowRun[]>();
  #encoded = 0;

  constructor(parts: VisualStoreParts) {
    this.#parts = parts;
    this.#free = new RowRuns(parts.rows);
  }

  /** Frame pairs that went through the tower so far. */
  get encoded(): number {
    return this.#encoded;
  }

  /**
   * Submits what is missing. Rows hold for the batch that is submitted next: the queue keeps the order, and a later call may take
   * them away.
   * @param units all that one batch shows, at most `rows` tokens of different ones
   * @returns rows of the stores by key
   */
  place(units: Iterable<VisualUnit>): ReadonlyMap<string, readonly RowRun[]> {
    const needed = new Map([...units].map((unit) => [unit.key, unit]));
    const missing: VisualUnit[] = [];
    for (const [key, unit] of needed) {
      const runs = this.#kept.get(key);
      if (!runs) missing.push(unit);
      else {
        this.#kept.delete(key);
        this.#kept.set(key, runs);
      }
    }
    this.#makeRoom(
      missing.reduce((sum, { tokens }) => sum + tokens, 0),
      needed,
    );
    for (const unit of missing) this.#kept.set(unit.key, this.#free.take(unit.tokens)!);
    try {
      for (const run of this.#runsOfTower(missing)) this.#encode(run);
    } catch (reason) {
      // The next batch must not find rows that nothing was written to.
      this.#forget(missing.map(({ key }) => key));
      throw reason;
    }
    return this.#kept;
  }

  /** Forgets what was not needed for longest, until so many rows are free. */
  #makeRoom(rows: number, needed: ReadonlyMap<string, VisualUnit>): void {
    const gone: string[] = [];
    let free = this.#free.free;
    for (const [key, runs] of this.#kept) {
      if (free >= rows) break;
      if (needed.has(key)) continue;
      gone.push(key);
      free += runs.reduce((sum, run) => sum + run.rows, 0);
    }
    this.#forget(gone);
  }

  #forget(keys: readonly string[]): void {
    this.#free.give(keys.flatMap((key) => this.#kept.get(key)!));
    for (const key of keys) this.#kept.delete(key);
  }

  #runsOfTower(units: readonly VisualUnit[]): VisualUnit[][] {
    const runs: VisualUnit[][] = [];
    let room = 0;
    for (const unit of units) {
      if (unit.patches > room) {
        runs.push([]);
        room = this.#parts.patches;
      }
      runs.at(-1)!.push(unit);
      room -= unit.patches;
    }
    return runs;
  }

  #encode(units: readonly VisualUnit[]): void {
    const { vision, recording, tower, main, tileRows } = this.#parts;
    const copies: RowCopy[] = [];
    let row = 0;
    for (const { key } of units) {
      for (const { first: at, rows } of this.#kept.get(key)!) {
        for (const { rows: output, store } of recording.features)
          copies.push({ output, first: row, rows, target: main.bufferOf(store), at });
        row += rows;
      }
    }
    const { sizes, inputs } = vision.batch(units, tileRows);
    tower.deliver(sizes, inputs, copies);
    this.#encoded += units.length;
  }
}

/** Ids of a batch, `~row` of the store for each visual token; what the rows must hold is submitted before the batch will be. */
export function placeVisuals(sequences: readonly Sequence[], store: VisualStore): Int32Array[] {
  const shown = sequences.flatMap(({ visuals = [] }) => visuals.map(({ unit }) => unit));
  if (shown.length === 0) return sequences.map(({ ids }) => ids);
  const rows = store.place(shown);
  return sequences.map(({ ids, visuals = [] }) => {
    const placed = ids.slice();
    for (const { unit, at } of visuals) eachRow(rows.get(unit.key)!, (row, i) => (placed[at + i] = ~row));
    return placed;
  });
}
