import { WgrankError } from '../errors.ts';
import { checkRequest } from './check-request.ts';
import type { Content, Reranker, RerankOptions } from './reranker.ts';

/** A model that the caller owns: it is closed by `close`, or by `await using` at the end of a block. */
export interface LoadedReranker extends Reranker {
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * What an application may rely on: values that break the types are refused by name, closing twice is closing once, and a closed model
 * refuses whatever it is asked with `engine-stopped`.
 */
export function ownReranker(inner: Reranker): LoadedReranker {
  let closing: Promise<void> | undefined;
  const requireOpen = () => {
    if (closing) throw new WgrankError('engine-stopped', 'rerank', 'the reranker is closed (load it again)');
  };
  const close = () => (closing ??= inner.close());
  return {
    get info() {
      return inner.info;
    },
    rerank: async (query: Content, documents: readonly Content[], options?: RerankOptions) => {
      requireOpen();
      checkRequest(query, documents, options);
      return inner.rerank(query, documents, options);
    },
    stats: async () => {
      requireOpen();
      return inner.stats();
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}
