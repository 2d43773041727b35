#!/usr/bin/env node
import process from 'node:process';
import { inspect } from './cli/inspect.ts';
import { launch } from './cli/launch.ts';
import { run } from './cli/run.ts';
import { resolveModel } from './hub/resolve-model-node.ts';
import { describeModel } from './rerank/describe-model-node.ts';
import { inspectModel } from './rerank/inspect-model-node.ts';
import { createRequestEncoder as createEncoder } from './rerank/create-request-encoder-node.ts';
import { createReranker } from './rerank/create-reranker.ts';
import { spawnEngine } from './server/engine-process.ts';
import { createLogger } from './server/log.ts';

const print = (text: string) => void process.stdout.write(text);
const log = (text: string) => void process.stderr.write(text);
// `wgrank serve | head` closes our output; that must not end the server.
process.stdout.on('error', () => undefined);
process.stderr.on('error', () => undefined);

const parts = { resolveModel, describeModel, createEncoder, spawnEngine, createReranker };
process.exit(
  await run(process.argv.slice(2), {
    launch: (flags) => {
      const { logLevel: level, logFormat: format } = flags.operation;
      return launch(flags, parts, { print: (line) => print(`${line}\n`), logger: createLogger({ level, format }) });
    },
    inspect: (flags) => inspect(flags, { resolveModel, inspectModel }, print),
    writeOut: print,
    writeErr: log,
  }),
);
