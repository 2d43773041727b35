export type { ModelCard, RankedDocument, RerankAnswer, ScoreAnswer, ServerInfo, Usage } from './answers.ts';
export type { Content, ContentPart, VideoUrl } from './content.ts';
export { toDataUri } from './data-uri.ts';
export {
  RerankApiError,
  RerankClientError,
  RerankConnectionError,
  RerankInputError,
  RerankResponseError,
  RerankTimeoutError,
} from './errors.ts';
export { RerankClient, type Pair, type RerankRequest, type ScoreRequest } from './rerank-client.ts';
export type { CallOptions, RerankClientOptions } from './transport.ts';
