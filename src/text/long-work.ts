/** UTF-16 units, or ids, that are worked on before the event loop has its turn: a few milliseconds. */
export const pieceUnits = 2 ** 17;
/** What it costs to begin with one, in units. */
const beginUnits = 64;

let lastTurn: Promise<void> = Promise.resolve();

/** Waits for a turn of the event loop. Each turn is for one caller, so that many who work at a time do not hold it up together. */
export function takeTurn(): Promise<void> {
  lastTurn = lastTurn.then(() => new Promise<void>((resolve) => setTimeout(resolve)));
  return lastTurn;
}

/** Work on texts and ids that lets the event loop turn in between. */
export class LongWork {
  #units = 0;

  /** Counts what comes next. @returns true when `pause` is due before it */
  isDue(units: number): boolean {
    this.#units += units + beginUnits;
    return this.#units > pieceUnits;
  }

  async pause(): Promise<void> {
    this.#units = 0;
    await takeTurn();
  }
}
