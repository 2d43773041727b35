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
export type { Content, ContentPart, Reranker, RerankOptions, ScoredDocument, VideoUrl } from './rerank/reranker.ts';
export type { CutOptions, EncodedPair, EncodeOptions, PairEncoder } from './text/encoded-pair.ts';
export { createReranker, type RerankerParts } from './rerank/create-reranker.ts';
export { describeModel, type ModelDescription } from './rerank/describe-model-node.ts';
export { createEncoder, type EncoderOptions } from './text/create-encoder-node.ts';
export { loadEngine } from './rerank/load-engine-node.ts';
export { loadReranker, type RerankerOptions } from './rerank/load-reranker-node.ts';
export { createPairEncoder, type PairEncoderOptions } from './text/create-pair-encoder-node.ts';
