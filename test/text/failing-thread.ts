import { existsSync, writeFileSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';

import type { TokenizerFile } from '../../src/text/tokenizer-json.ts';
import { packTokens } from '../../src/text/tokenizer-protocol.ts';
import type { WorkerReport, WorkerTask } from '../../src/text/tokenizer-protocol.ts';

// A tokenizer thread that obeys its texts: it ends, throws, or ends the first time only (when a marker file is missing).
// Any other text becomes one token, its length. `workerData` is the folder name as the pool passes it on.
const start = workerData as { modelDir?: string };
if (start.modelDir === 'dies-at-start') process.exit(7);

function report(message: WorkerReport): void {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
  parentPort!.postMessage(message);
}

parentPort!.on('message', ({ texts, keep }: WorkerTask) => {
  const plain = texts.map((input) => (typeof input === 'string' ? input : input.text));
  for (const text of plain) {
    if (text === 'exit') process.exit(3);
    if (text === 'throw') throw new RangeError('broken thread');
    if (text.startsWith('once:') && !existsSync(text.slice(5))) {
      writeFileSync(text.slice(5), '');
      process.exit(4);
    }
  }
  const tokens = packTokens(
    plain.map((text) => [text.length]),
    keep,
  );
  report({ kind: 'done', tokens });
});
// The pool only passes the file on.
report({ kind: 'ready', file: {} as TokenizerFile });
