import { postOf, readCorpus, type NamedBytes } from './http-corpus.ts';
import { mutate } from './http-mutators.ts';
import { Random } from './random.ts';

export interface HttpCase extends NamedBytes {
  /** How its bytes come: at once, or cut at these places. */
  readonly cuts: readonly number[];
  /** Milliseconds after which the client goes away, whatever it has got. */
  readonly goneAfterMs?: number;
}

interface ApiDocument {
  readonly servers: readonly { readonly url: string }[];
  readonly paths: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

const documents = ['a panda is a bear', { text: 'b' }, 'c'];
const texts = ['a panda is a bear', 'b'];
/** Bodies that one route or another answers with 200. */
const bodies: readonly object[] = [
  { query: 'what is a panda?', documents: texts, top_n: 1, return_documents: false, instruct: 'find' },
  { query: 'q', documents: [[{ type: 'text', text: 'a' }], 'b'] },
  { model: 'm', query: 'q', documents, top_n: 2, return_documents: true, rank_fields: ['text'], max_tokens_per_doc: 9 },
  { query: 'q', documents: texts, top_k: 1, truncation: true, model: 'rerank-2' },
  { query: 'q', texts, raw_scores: true, return_text: true, truncate: true, truncation_direction: 'Right' },
  { query: { text: 'q' }, passages: [{ text: 'a' }, { text: 'b' }], truncate: 'END' },
  { text_1: 'q', text_2: texts, use_activation: false, truncate_prompt_tokens: 64 },
  { queries: texts, documents: texts },
  { query: 'q', items: texts, label_token_ids: [1, 2], apply_softmax: true },
];

/** Good requests of every route, method and wire format that the server's own document names. */
export function listSeeds({ servers, paths }: ApiDocument): Buffer[] {
  return servers.flatMap(({ url }) => {
    const prefix = url === '/' ? '' : url;
    return Object.entries(paths).flatMap(([path, item]) => {
      const target = `${prefix}${path.replaceAll(/\{\w+\}/g, 'x')}`;
      const get = `${target} HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n`;
      if ('get' in item) return [Buffer.from(`GET ${get}`), Buffer.from(`HEAD ${get}`)];
      return bodies.map((body) => postOf(target, Buffer.from(JSON.stringify(body))));
    });
  });
}

const atOnce: readonly number[] = [];
/** A prime: requests of the same kind, a thousand documents on every route, do not come together. */
const stride = 7_919;
/** Over it a request is mutated in one of so many cases only: it takes its time. */
const largeBytes = 50_000;
const maxBytes = 4 * 2 ** 20;

/** The n-th case: first the corpus and the good requests, then mutants. The same n of the same seed is the same case. */
export function caseMaker(document: ApiDocument, seed: number): { readonly plain: number; make(n: number): HttpCase } {
  const corpus = readCorpus();
  const seeds = listSeeds(document);
  const unmutated = [...corpus, ...seeds.map((bytes) => ({ name: 'a good request', bytes }))];
  const sources = [...corpus.map(({ bytes }) => bytes).filter((bytes) => bytes.length < maxBytes), ...seeds];
  const small = sources.filter((bytes) => bytes.length <= largeBytes);
  const one = (random: Random) => {
    const [source, other] = [random.pick(random.below(50) === 0 ? sources : small), random.pick(small)];
    return mutate(source, random, other);
  };
  return {
    plain: unmutated.length,
    make(n) {
      const plain = n < unmutated.length ? unmutated[(n * stride) % unmutated.length] : undefined;
      if (plain !== undefined) return { ...plain, cuts: atOnce };
      const random = new Random(seed + n);
      const count = random.chance(25) ? 2 + random.below(3) : 1;
      const bytes = Buffer.concat(
        Array.from({ length: count }, () => (random.chance(85) ? one(random) : random.pick(seeds))),
      );
      const cuts = random.chance(20)
        ? Array.from({ length: 1 + random.below(4) }, () => random.below(bytes.length + 1))
        : [];
      const gone = random.chance(5) && { goneAfterMs: random.below(20) };
      return { name: 'a mutant', bytes, cuts: cuts.toSorted((a, b) => a - b), ...gone };
    },
  };
}
