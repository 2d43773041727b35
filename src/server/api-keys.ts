import { hash, randomBytes, timingSafeEqual } from 'node:crypto';

/**
 * Keys that open the server. Kept as SHA-256 digests: keys themselves are nowhere after the start, so that no log, error or dump of
 * this object can show one. Digests have one length, and comparing them tells nothing about how much of a guess was right.
 */
export class ApiKeys {
  readonly #digests: Buffer[];

  /** @param keys as clients send them; none: no key is needed */
  constructor(keys: readonly string[]) {
    this.#digests = [...new Set(keys)].map(digest);
  }

  get count(): number {
    return this.#digests.length;
  }

  /** @returns a new key for this process's own requests, where one is needed */
  issue(): string | undefined {
    if (this.count === 0) return undefined;
    const key = randomBytes(32).toString('hex');
    this.#digests.push(digest(key));
    return key;
  }

  /**
   * Every key is compared, whichever fits.
   * @returns the key's place in the list, or undefined
   */
  find(candidate: string): number | undefined {
    const asked = digest(candidate);
    let found: number | undefined;
    this.#digests.forEach((known, place) => {
      if (timingSafeEqual(known, asked)) found = place;
    });
    return found;
  }
}

const digest = (key: string): Buffer => hash('sha256', key, 'buffer');
