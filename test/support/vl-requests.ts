import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Content } from '../../src/rerank/reranker.ts';

/** What transformers makes of one document of a request. */
export interface VlResult {
  readonly text: string;
  /** Ids, a run of equal ones as `[id, count]`. */
  readonly ids: readonly (number | readonly [number, number])[];
  readonly truncatedTokens: number;
  /** Names in `media`, in the order of the prompt. */
  readonly media: readonly string[];
  readonly positionsSha256: string;
  readonly logit: number;
  readonly p: number;
}

export interface VlRequest {
  readonly query: Content;
  readonly documents: readonly Content[];
  readonly instruct?: string;
  readonly maxLength: number;
  readonly results: readonly VlResult[];
}

interface VlFixture {
  readonly scored: { readonly yes: number; readonly no: number };
  readonly media: Readonly<Record<string, { readonly resized: readonly number[]; readonly resizedSha256: string }>>;
  readonly requests: readonly VlRequest[];
}

/** Requests to the embedded model that sees, with what transformers answers (scripts/make-tiny-qwen3-vl.py). */
export const vlFixture = JSON.parse(
  readFileSync(new URL('../golden/fixtures/tiny-qwen3-vl-reranker.json', import.meta.url), 'utf8'),
) as VlFixture;

export const vlModel = fileURLToPath(new URL('../../weights/tiny-qwen3-vl-reranker', import.meta.url));
/** The pictures that the requests name. */
export const pictures = fileURLToPath(new URL('../media/fixtures/pictures', import.meta.url));

export const expandIds = (ids: VlResult['ids']) =>
  ids.flatMap((id) => (typeof id === 'number' ? [id] : Array.from({ length: id[1] }, () => id[0])));
