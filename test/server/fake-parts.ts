import type { LaunchParts } from '../../src/cli/launch.ts';
import { WgrankError } from '../../src/errors.ts';
import { createReranker } from '../../src/rerank/create-reranker.ts';
import { spawnEngine, type EngineProcess } from '../../src/server/engine-process.ts';
import { trouble } from '../support/fake-engine.ts';

/** Token ids of a document: its length, or the trouble that it names (`slow`, `hang`, …). */
export const encodeFake = (document: string): Int32Array =>
  Int32Array.of(trouble[document as keyof typeof trouble] ?? document.length);

export interface FakeParts extends LaunchParts {
  /** The child process once it has loaded. */
  engine: EngineProcess | undefined;
  encoderClosed: boolean;
}

/** A fake engine in a real child process behind the thinnest encoder and reranker; `describeModel` fails for `unsupported`. */
export function createFakeParts(): FakeParts {
  const parts: FakeParts = {
    engine: undefined,
    encoderClosed: false,
    resolveModel: async (pathOrId) => ({ dir: pathOrId, source: 'folder' }),
    describeModel: async (dir) => {
      if (dir === 'unsupported')
        throw new WgrankError('model-unsupported', 'registry', 'LlamaForCausalLM is not implemented');
      return { kind: 'cross-encoder', architecture: 'FakeForSequenceClassification', maxTokens: 512 };
    },
    createEncoder: async () => ({
      encode: async (_query, documents) => documents.map((text) => ({ ids: encodeFake(text), truncatedTokens: 0 })),
      close: async () => void (parts.encoderClosed = true),
    }),
    spawnEngine: async (options, spawn) => {
      const engineModule = new URL('../support/fake-engine.ts', import.meta.url);
      return (parts.engine = await spawnEngine(options, { ...spawn, engineModule }));
    },
    createReranker,
  };
  return parts;
}
