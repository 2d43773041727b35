import { WgrankError } from '../errors.ts';
import type { CutOptions, EncodeOptions } from '../text/encoded-pair.ts';
import type { RequestEncoder } from './content-encoder.ts';
import type { Engine, EnginePair, ModelKind } from './engine.ts';
import type { Content, Reranker, RerankOptions, ScoredDocument } from './reranker.ts';
import type { PairTokens, RerankPhase } from './rerank-phase.ts';
import { Patience } from './patience.ts';
import { sigmoid } from './sigmoid.ts';

export interface RerankerParts {
  readonly engine: Engine;
  readonly encoder: RequestEncoder;
}

/** Puts an encoder in front of an engine. The reranker owns both. */
export function createReranker({ engine, encoder }: RerankerParts): Reranker {
  const toScore = engine.info.activation === 'sigmoid' ? sigmoid : (logit: number) => logit;
  return {
    // An engine that is started again may be another one.
    get info() {
      return engine.info;
    },
    stats: () => engine.stats(),
    close: async () => {
      await Promise.all([engine.close(), encoder.close()]);
    },
    async rerank(query: Content, documents: readonly Content[], options: RerankOptions = {}) {
      const { topN, observe, group, request = {}, deadlineMs, ...encoding } = options;
      if (topN !== undefined && !(Number.isInteger(topN) && topN >= 1))
        throw invalid(`topN is ${topN} (a whole number of at least 1)`);
      if (!Array.isArray(documents)) throw invalid('documents are not a list');
      if (![query, ...documents].every(isContent))
        throw invalid('a query or document is neither a text nor a list of parts');
      checkCuts(encoding, engine.info.kind);
      const patience = new Patience(encoding.signal, deadlineMs);
      try {
        const own = { ...encoding, signal: patience.signal };
        const windows = windowsOf({ engine, encoder }, query, documents, own);
        const scored = await scoreAll(windows, { engine, toScore, patience, group, request, observe });
        return best(scored, topN);
      } catch (reason) {
        patience.giveUp();
        throw patience.explain(reason);
      } finally {
        patience.end();
      }
    },
  };
}

/** Array.sort is stable: equal logits keep their request order. */
function best(scored: readonly ScoredDocument[], topN = scored.length): ScoredDocument[] {
  return scored.toSorted((a, b) => b.logit - a.logit).slice(0, topN);
}

/** A model that reads text gets all pairs at once: they are small. */
async function* windowsOf(
  { engine, encoder }: RerankerParts,
  query: Content,
  documents: readonly Content[],
  options: EncodeOptions,
): AsyncGenerator<readonly EnginePair[]> {
  if ('encode' in encoder) return yield encoder.encode(textOf(query), documents.map(textOf), options);
  const { maxBatchTokens: windowTokens, maxTokens: mostTokens } = engine.info;
  yield* encoder.windows(query, documents, { ...options, windowTokens, mostTokens });
}

interface Scoring {
  readonly engine: Engine;
  readonly toScore: (logit: number) => number;
  readonly patience: Patience;
  readonly group: string | undefined;
  readonly request: object;
  readonly observe: ((phase: RerankPhase) => void) | undefined;
}

/** Scores windows as they come: while one is scored, the next one is made. */
async function scoreAll(windows: AsyncIterable<readonly EnginePair[]>, scoring: Scoring): Promise<ScoredDocument[]> {
  const { toScore, observe } = scoring;
  const scored: ScoredDocument[] = [];
  const score = async (pairs: readonly EnginePair[], counts: readonly PairTokens[]) => {
    const logits = await observeScore(pairs, scoring);
    for (const [i, { promptTokens, truncatedTokens }] of counts.entries()) {
      const logit = logits[i]!;
      scored.push({ index: scored.length, score: toScore(logit), logit, promptTokens, truncatedTokens });
    }
  };
  let running: Promise<void> = Promise.resolve();
  let startedAt = performance.now();
  for await (const pairs of windows) {
    const counts = pairs.map(({ ids, truncatedTokens }) => ({ promptTokens: ids.length, truncatedTokens }));
    observe?.({ phase: 'encode', startedAt, endedAt: performance.now(), pairs: counts });
    await running;
    running = score(pairs, counts);
    running.catch(() => undefined); // it is waited for below, or another failure comes first
    startedAt = performance.now();
  }
  await running;
  return scored;
}

/** Tells how long the pairs waited and were scored, whatever becomes of them. */
async function observeScore(pairs: readonly EnginePair[], scoring: Scoring): Promise<Float32Array> {
  const { engine, patience, group, request, observe } = scoring;
  const startedAt = performance.now();
  let queueMs = 0;
  try {
    return await engine.score(pairs, patience.signal, {
      group,
      request,
      deadlineMs: patience.leftMs,
      observe: ({ queuedMs }) => (queueMs = queuedMs),
    });
  } finally {
    observe?.({ phase: 'score', startedAt, endedAt: performance.now(), queueMs });
  }
}

const isContent = (value: unknown) => typeof value === 'string' || Array.isArray(value);

/** Text parts joined by one space, as SGLang does for models that read text only. @throws WgrankError `media-unsupported` */
function textOf(content: Content): string {
  if (typeof content === 'string') return content;
  const texts = content.map((part) => {
    if (part.type === 'text') return part.text;
    throw new WgrankError(
      'media-unsupported',
      '',
      `This model reads text only: ${part.type} parts need a multimodal reranker such as Qwen3-VL-Reranker.`,
    );
  });
  return texts.join(' ');
}

const invalid = (detail: string) => new WgrankError('input-invalid', 'rerank', detail);

/** @throws WgrankError `input-invalid` */
function checkCuts(cut: CutOptions, kind: ModelKind): void {
  const { maxDocumentTokens, maxQueryTokens, maxPairTokens } = cut;
  for (const [name, tokens] of Object.entries({ maxDocumentTokens, maxQueryTokens, maxPairTokens })) {
    if (tokens !== undefined && !(Number.isInteger(tokens) && tokens >= 1))
      throw invalid(`${name} is ${tokens} (a whole number of at least 1)`);
  }
  if (maxQueryTokens !== undefined && kind !== 'cross-encoder')
    throw invalid('maxQueryTokens is for cross-encoders: a decoder reads its prompt as one text (shorten the query)');
}
