/** Something that has pieces of work to hand out, in its own order. */
export interface Lane<Piece> {
  /** Cost of the piece that `take` hands out next; undefined when there is none. */
  next(): number | undefined;
  /** @throws TypeError when there is none */
  take(): Piece;
}

/**
 * Deficit round robin: lanes take turns, each turn is worth the same, and what a lane does not use up it keeps for its next turn.
 * A rotation is a lane itself, so that rotations nest.
 * source: Shreedhar and Varghese, Efficient fair queueing using deficit round robin, 1995
 */
export class Rotation<Piece, L extends Lane<Piece> = Lane<Piece>> implements Lane<Piece> {
  readonly #turn: number;
  /** What each lane may still take; the order is that of the turns. */
  readonly #credits = new Map<L, number>();

  /** @param turn worth of a turn, in the unit of the costs */
  constructor(turn: number) {
    this.#turn = turn;
  }

  get size(): number {
    return this.#credits.size;
  }

  /** The lane joins behind all others. It must have a piece, and be none of them. */
  add(lane: L): void {
    this.#credits.set(lane, this.#turn);
  }

  /** @returns whether it was there */
  remove(lane: L): boolean {
    return this.#credits.delete(lane);
  }

  next(): number | undefined {
    return this.#due()?.cost;
  }

  take(): Piece {
    const due = this.#due();
    if (due === undefined) throw new TypeError('no lane has a piece');
    const { lane, cost, credit } = due;
    const piece = lane.take();
    if (lane.next() === undefined) this.#credits.delete(lane);
    else this.#credits.set(lane, credit - cost);
    return piece;
  }

  /** Moves lanes whose turn is over to the end until one can pay for its piece; asked again, it is the same one. */
  #due(): { lane: L; cost: number; credit: number } | undefined {
    for (;;) {
      const first = this.#credits.entries().next();
      if (first.done) return undefined;
      const [lane, credit] = first.value;
      const cost = lane.next();
      if (cost !== undefined && cost <= credit) return { lane, cost, credit };
      this.#credits.delete(lane);
      if (cost !== undefined) this.#credits.set(lane, credit + this.#turn);
    }
  }
}
