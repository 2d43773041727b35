/** A body while bytes of it are in memory. */
export interface HeldBody {
  /** Bytes that were received, or that they became. */
  readonly bytes: number;
}

/** What a body comes from. */
export interface BodySource {
  pause(): void;
  resume(): void;
}

class Body implements HeldBody {
  readonly source: BodySource;
  bytes = 0;
  paused = false;
  finished = false;

  constructor(source: BodySource) {
    this.source = source;
  }
}

/**
 * Bytes of all request bodies in memory, as they arrive: announced bytes are no reservation, or four idle clients could take all of
 * it. Over the limit senders have to wait until an answer is out; when none is to come, one of them goes on, so that memory is
 * bounded by the limit and one body more, and there is always one that gets done.
 */
export class BodyBudget {
  readonly maxBytes: number;
  /** Bodies that are not read to their end. */
  readonly #unfinished = new Set<Body>();
  #bytes = 0;
  /** Of those the bytes of bodies that are complete. */
  #finishedBytes = 0;
  /** The one that goes on. */
  #exempt: Body | undefined;

  constructor(maxBytes: number) {
    this.maxBytes = maxBytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get unfinished(): number {
    return this.#unfinished.size;
  }

  /** Whether so many bytes more would fit now. A body that is alone always does. */
  fits(bytes: number): boolean {
    return this.#bytes === 0 || this.#bytes + bytes <= this.maxBytes;
  }

  open(source: BodySource): HeldBody {
    const body = new Body(source);
    this.#unfinished.add(body);
    return body;
  }

  /** Bytes have arrived, or have become more. */
  hold(body: HeldBody, bytes: number): void {
    const held = body as Body;
    held.bytes += bytes;
    this.#bytes += bytes;
    if (held.finished) this.#finishedBytes += bytes;
    else if (!held.paused && !this.#mayGoOn(held)) {
      held.paused = true;
      held.source.pause();
    }
  }

  /** The body is complete; its bytes stay. */
  finish(body: HeldBody): void {
    const held = body as Body;
    if (!this.#unfinished.delete(held)) return;
    held.finished = true;
    this.#finishedBytes += held.bytes;
    if (this.#exempt === held) this.#exempt = undefined;
  }

  /** The body's bytes are no longer needed. */
  release(body: HeldBody): void {
    const held = body as Body;
    this.#bytes -= held.bytes;
    if (held.finished) this.#finishedBytes -= held.bytes;
    held.bytes = 0;
    this.#unfinished.delete(held);
    if (this.#exempt === held || this.#bytes <= this.maxBytes) this.#exempt = undefined;
    for (const waiting of this.#unfinished) {
      if (!waiting.paused || !this.#mayGoOn(waiting)) continue;
      waiting.paused = false;
      waiting.source.resume();
    }
  }

  #mayGoOn(body: Body): boolean {
    if (this.#bytes <= this.maxBytes) return true;
    if (this.#finishedBytes > 0) return false;
    this.#exempt ??= body;
    return this.#exempt === body;
  }
}
