/** Rows that follow each other. */
export interface RowRun {
  readonly first: number;
  readonly rows: number;
}

/** Hands out rows of a space. What is handed out need not be adjacent, so that no order of taking and giving back wastes any. */
export class RowRuns {
  /** Free rows, ascending; neighbours are joined. */
  #runs: RowRun[];
  #free: number;

  constructor(rows: number) {
    this.#runs = rows > 0 ? [{ first: 0, rows }] : [];
    this.#free = rows;
  }

  get free(): number {
    return this.#free;
  }

  /** Takes the lowest free rows. @returns undefined when there are too few */
  take(rows: number): readonly RowRun[] | undefined {
    if (rows > this.#free) return undefined;
    const taken: RowRun[] = [];
    for (let left = rows; left > 0;) {
      const run = this.#runs[0]!;
      const count = Math.min(left, run.rows);
      taken.push({ first: run.first, rows: count });
      if (count === run.rows) this.#runs.shift();
      else this.#runs[0] = { first: run.first + count, rows: run.rows - count };
      left -= count;
    }
    this.#free -= rows;
    return taken;
  }

  /** Gives back rows that were taken. */
  give(runs: readonly RowRun[]): void {
    const joined: RowRun[] = [];
    for (const run of [...this.#runs, ...runs].toSorted((a, b) => a.first - b.first)) {
      const last = joined.at(-1);
      if (last && last.first + last.rows === run.first)
        joined[joined.length - 1] = { ...last, rows: last.rows + run.rows };
      else joined.push(run);
    }
    this.#runs = joined;
    this.#free += runs.reduce((sum, { rows }) => sum + rows, 0);
  }
}

/** Calls back with each row of some runs, in order, and its number. */
export function eachRow(runs: readonly RowRun[], visit: (row: number, i: number) => void): void {
  let i = 0;
  for (const { first, rows } of runs) for (let row = first; row < first + rows; row++) visit(row, i++);
}
