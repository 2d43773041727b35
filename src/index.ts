export { WgrankError, errorCatalogue, type ErrorCode } from './errors.ts';
export type { Engine, EngineInfo, EngineOptions, EngineStats, ModelKind, WeightDtype } from './rerank/engine.ts';
export type { Content, ContentPart, Reranker, RerankOptions, ScoredDocument } from './rerank/reranker.ts';
export type { EncodedPair, PairEncoder } from './text/encoded-pair.ts';
export { createReranker, type RerankerParts } from './rerank/create-reranker.ts';
export { describeModel, type ModelDescription } from './rerank/describe-model-node.ts';
export { loadEngine } from './rerank/load-engine-node.ts';
export { loadReranker, type RerankerOptions } from './rerank/load-reranker-node.ts';
export { createPairEncoder, type PairEncoderOptions } from './text/create-pair-encoder-node.ts';
