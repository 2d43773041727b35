export { WgrankError, errorCatalogue, type ErrorCode } from './errors.ts';
export type { Engine, EngineInfo, EngineOptions, EngineStats, ModelKind, WeightDtype } from './rerank/engine.ts';
export type { Content, ContentPart, Reranker, RerankOptions, ScoredDocument } from './rerank/reranker.ts';
export type { EncodedPair, EncodeOptions, PairEncoder } from './text/encoded-pair.ts';
export { createReranker, type RerankerParts } from './rerank/create-reranker.ts';
export { describeModel, type ModelDescription } from './rerank/describe-model-node.ts';
export { createEncoder, type EncoderOptions } from './text/create-encoder-node.ts';
export { loadEngine } from './rerank/load-engine-node.ts';
