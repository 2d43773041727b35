import { parentPort, workerData } from 'node:worker_threads';

import { WgrankError } from '../errors.ts';
import { ExactTokenizer } from './exact-tokenizer.ts';
import { readTokenizerFolder } from './read-tokenizer-node.ts';
import { packTokens } from './tokenizer-protocol.ts';
import type { WorkerCommand, WorkerReport, WorkerStart } from './tokenizer-protocol.ts';

// The body of a tokenizer thread. An error in a task ends the thread: the pool tries the task again in a fresh one.
const port = parentPort!;
const start = workerData as WorkerStart;

function report(message: WorkerReport, transfer: ArrayBuffer[] = []): void {
  port.postMessage(message, transfer);
}

try {
  const file = 'file' in start ? start.file : await readTokenizerFolder(start.modelDir);
  const tokenizer = new ExactTokenizer(file.parts);
  let pieces: string[] = [];
  port.on('message', (command: WorkerCommand) => {
    if ('piece' in command) {
      pieces.push(command.piece);
      return;
    }
    const { texts, keep } = command;
    const last = pieces.join('');
    pieces = [];
    const tokens = packTokens(
      texts.map((input, i) => {
        const { text, plain } = typeof input === 'string' ? { text: input, plain: undefined } : input;
        return tokenizer.encode(last !== '' && i === texts.length - 1 ? last : text, plain);
      }),
      keep,
    );
    report({ kind: 'done', tokens }, [tokens.ids.buffer, tokens.keptCounts.buffer, tokens.tokenCounts.buffer]);
  });
  report({ kind: 'ready', file });
} catch (error) {
  if (!(error instanceof WgrankError)) throw error;
  report({ kind: 'failed', code: error.code, message: error.message });
}
