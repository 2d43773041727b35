import { WgrankError } from '../errors.ts';
import type { PairEncoder } from '../text/encoded-pair.ts';
import type { Engine } from './engine.ts';
import type { Content, ContentPart, Reranker, RerankOptions, ScoredDocument } from './reranker.ts';

export interface RerankerParts {
  readonly engine: Engine;
  readonly encoder: PairEncoder;
}

/** Puts an encoder in front of an engine. The reranker owns both. */
export function createReranker({ engine, encoder }: RerankerParts): Reranker {
  const toScore = engine.info.activation === 'sigmoid' ? sigmoid : (logit: number) => logit;
  return {
    info: engine.info,
    stats: () => engine.stats(),
    close: async () => {
      await Promise.all([engine.close(), encoder.close()]);
    },
    async rerank(query: Content, documents: readonly Content[], options: RerankOptions = {}) {
      const { signal, topN, instruct } = options;
      if (topN !== undefined && !(Number.isInteger(topN) && topN >= 1))
        throw invalid(`topN is ${topN} (a whole number of at least 1)`);
      if (!Array.isArray(documents)) throw invalid('documents are not a list');
      const pairs = await encoder.encode(textOf(query), documents.map(textOf), { signal, instruct });
      const logits = await engine.score(pairs, signal);
      const scored = pairs.map(({ ids, truncatedTokens }, index): ScoredDocument => {
        const logit = logits[index]!;
        return { index, score: toScore(logit), logit, promptTokens: ids.length, truncatedTokens };
      });
      // Array.sort is stable: equal logits keep their request order.
      return scored.toSorted((a, b) => b.logit - a.logit).slice(0, topN ?? scored.length);
    },
  };
}

/** Text parts joined by one space, as SGLang does for models that read text only. @throws WgrankError `media-unsupported` */
function textOf(content: Content): string {
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) throw invalid('a query or document is neither a text nor a list of parts');
  const texts = (content as readonly ContentPart[]).map((part) => {
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

/** In f64, once. */
function sigmoid(logit: number): number {
  return 1 / (1 + Math.exp(-logit));
}
