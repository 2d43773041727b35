import type { Dialect, DialectName } from './dialect.ts';
import { nvidia } from './nvidia.ts';
import { cohere, jina, superset, vllm, voyage } from './rank-answers.ts';
import { sglang } from './sglang.ts';
import { tei } from './tei.ts';

/** What `/v1/rerank` speaks without a prefix. */
export type ApiDialect = 'sglang' | 'jina';

const cohereV1 = cohere('1');
const cohereV2 = cohere('2');
const echoing = superset(true);
const terse = superset(false);

/** Routes of one rerank handler. */
export type RankRoute = 'sglang' | 'v1' | 'v2' | 'nvidia';

/**
 * The wire format of a request, by rule and never by guess.
 * @param route  `sglang`: `/v1/rerank`; `v2`: `/v2/rerank`; `nvidia`: `/v1/ranking`; `v1`: every other name
 * @param prefix the wire format in front of the path, which decides alone
 * @param body   without a prefix `texts` mean TEI, `passages` NVIDIA, `top_k` without `top_n` Voyage
 */
export function chooseDialect(
  route: RankRoute,
  prefix: DialectName | undefined,
  apiDialect: ApiDialect,
  body: unknown,
): Dialect {
  if (route === 'nvidia') return nvidia;
  if (prefix !== undefined) return ofPrefix(prefix, route);
  if (route === 'sglang' && apiDialect === 'sglang') return sglang;
  if (has(body, 'texts')) return tei;
  if (has(body, 'passages')) return nvidia;
  if (has(body, 'top_k') && !has(body, 'top_n')) return voyage;
  // Cohere's second version has no documents in its answers.
  return route === 'v2' ? terse : echoing;
}

function ofPrefix(prefix: DialectName, route: RankRoute): Dialect {
  if (prefix === 'cohere') return route === 'v2' ? cohereV2 : cohereV1;
  return { sglang, jina, vllm, tei, voyage }[prefix];
}

/** Null is what clients send for a field that was not set. */
function has(body: unknown, field: string): boolean {
  if (typeof body !== 'object' || body === null || !Object.hasOwn(body, field)) return false;
  return (body as Record<string, unknown>)[field] !== null;
}
