import type { JsonLimits } from './json-parse.ts';
import type { JsonBuild } from './json-pieces.ts';

/** What the server says to its JSON thread. Bodies are worked on one after the other. */
export type JsonCommand =
  | { readonly kind: 'parse'; readonly bytes: Uint8Array; readonly limits: JsonLimits }
  /** The piece before has been put back: only then comes the next one. */
  | { readonly kind: 'next' }
  /** Nobody waits for the rest. */
  | { readonly kind: 'drop' };

/** What the thread says. */
export type JsonReport =
  /** Works on the body from here on: what was before is the thread's own start. */
  | { readonly kind: 'begun' }
  | { readonly kind: 'refused'; readonly status: number; readonly message: string }
  | { readonly kind: 'build'; readonly build: JsonBuild; readonly pieces: number }
  | { readonly kind: 'piece'; readonly texts: readonly string[] };
