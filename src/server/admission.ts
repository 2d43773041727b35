import type { Request, RequestHandler } from 'express';
import { WgrankError } from '../errors.ts';
import { BodyBudget, type HeldBody } from './body-budget.ts';
import { OverloadedError } from './overloaded-error.ts';

export interface AdmissionOptions {
  /** Bytes of all request bodies in memory, from their arrival to the end of the answer. */
  readonly maxHeldBytes: number;
  /** Requests whose bodies are complete and whose answers are not. Default 1,024. */
  readonly maxRequests?: number;
  /** Why a request would be refused later, so that it is refused before its body is read, such as a full queue. */
  readonly refusal?: (request: Request) => OverloadedError | undefined;
}

export interface AdmissionStats {
  readonly heldBytes: number;
  readonly unfinishedBodies: number;
  readonly requests: number;
  /** Requests that were refused here. */
  readonly refused: number;
}

/** Compressed bodies that are read at a time: what they become is known only when it is there. */
const maxInflating = 8;

interface Admitted {
  readonly body: HeldBody;
  inflating: boolean;
  working: boolean;
  closed: boolean;
}

/** Limits that hold before a body costs anything: bytes in memory and requests under way. Over them: 429. */
export class Admission {
  readonly #options: AdmissionOptions;
  readonly #budget: BodyBudget;
  readonly #admitted = new WeakMap<Request, Admitted>();
  #inflating = 0;
  #requests = 0;
  #refused = 0;

  constructor(options: AdmissionOptions) {
    this.#options = options;
    this.#budget = new BodyBudget(options.maxHeldBytes);
  }

  get maxRequests(): number {
    return this.#options.maxRequests ?? 1024;
  }

  get stats(): AdmissionStats {
    return {
      heldBytes: this.#budget.bytes,
      unfinishedBodies: this.#budget.unfinished,
      requests: this.#requests,
      refused: this.#refused,
    };
  }

  /**
   * Stands before the body is read. It listens to the body, which begins to flow: whoever reads the body has to begin in the same
   * turn of the event loop, with nothing that waits in between.
   * @throws OverloadedError
   */
  readonly admitBody: RequestHandler = (request, response, next) => {
    const announced = Number(request.headers['content-length'] ?? 0) || 0;
    const inflating = (request.headers['content-encoding'] ?? 'identity').toLowerCase() !== 'identity';
    this.#refuseFor(this.#options.refusal?.(request));
    if (!this.#budget.fits(announced))
      this.#refuse(`${this.#budget.bytes} bytes of request bodies are being worked on`);
    if (inflating && this.#inflating >= maxInflating) this.#refuse(`${maxInflating} compressed bodies are being read`);

    const body = this.#budget.open(request);
    const admitted: Admitted = { body, inflating, working: false, closed: false };
    this.#admitted.set(request, admitted);
    if (inflating) this.#inflating++;
    request.on('data', (chunk: Uint8Array) => this.#budget.hold(body, chunk.length));
    request.once('end', () => this.#budget.finish(body));
    response.once('close', () => this.#release(admitted));
    next();
  };

  /**
   * Stands behind whoever has left the body's bytes in `request.body`, and before they are parsed.
   * @throws OverloadedError
   */
  readonly admitWork: RequestHandler = (request, _response, next) => {
    const admitted = this.#admitted.get(request);
    if (admitted === undefined) throw new Error('admitBody stands before admitWork');
    if (admitted.closed) throw new WgrankError('cancelled', 'server', 'the client has gone');
    this.#endInflating(admitted);
    const bytes: unknown = request.body;
    const more = (bytes instanceof Uint8Array ? bytes.length : 0) - admitted.body.bytes;
    if (more > 0 && !this.#budget.fits(more)) this.#refuse('request bodies take all the memory that they may');
    if (more > 0) this.#budget.hold(admitted.body, more);
    if (this.#requests >= this.maxRequests) this.#refuse(`${this.#requests} requests are being worked on`);
    admitted.working = true;
    this.#requests++;
    next();
  };

  #release(admitted: Admitted): void {
    admitted.closed = true;
    this.#endInflating(admitted);
    this.#budget.release(admitted.body);
    if (admitted.working) this.#requests--;
  }

  #endInflating(admitted: Admitted): void {
    if (admitted.inflating) this.#inflating--;
    admitted.inflating = false;
  }

  #refuseFor(error: OverloadedError | undefined): void {
    if (error === undefined) return;
    this.#refused++;
    throw error;
  }

  #refuse(detail: string): never {
    this.#refused++;
    throw new OverloadedError('server', `${detail} (come back later)`);
  }
}
