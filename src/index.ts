import { openModel } from './index/open-model-node.ts';
import type { Reranker as AnyReranker } from './rerank/reranker.ts';

export type { LoadOptions } from './index/open-model-node.ts';
export { WgrankError, errorCatalogue, type ErrorCode } from './errors.ts';
export type { EncodedMedia, MediaLoader, MediaSource } from './media/encoded-media.ts';
export type { ContentEncoder, RequestEncoder } from './rerank/content-encoder.ts';
export {
  createRequestEncoder,
  type MediaOptions,
  type RequestEncoderOptions,
} from './rerank/create-request-encoder-node.ts';
export type {
  Engine,
  EngineInfo,
  EngineOptions,
  EnginePair,
  EngineStats,
  ModelKind,
  WeightDtype,
} from './rerank/engine.ts';
export type { LoadedReranker } from './rerank/own-reranker.ts';
export type { Content, ContentPart, RerankOptions, ScoredDocument, VideoUrl } from './rerank/reranker.ts';
export type { CutOptions, EncodedPair, EncodeOptions, PairEncoder } from './text/encoded-pair.ts';
export { createReranker, type RerankerParts } from './rerank/create-reranker.ts';
export { describeModel, type ModelDescription } from './rerank/describe-model-node.ts';
export { createEncoder, type EncoderOptions } from './text/create-encoder-node.ts';
export { loadEngine } from './rerank/load-engine-node.ts';
export { loadReranker, type RerankerOptions } from './rerank/load-reranker-node.ts';
export { createPairEncoder, type PairEncoderOptions } from './text/create-pair-encoder-node.ts';

/** Whatever ranks documents: a model that was loaded here, or parts that were put together. */
export type Reranker = AnyReranker;

/** `Reranker.load` gives an application a model of its own: no server, no network. */
export const Reranker = { load: openModel } as const;
