// A JSON thread that fails as its body asks, and else answers with how many bodies it has had.
import { parentPort } from 'node:worker_threads';
import type { JsonCommand, JsonReport } from '../../src/server/json-protocol.ts';

const port = parentPort!;
let bodies = 0;
port.on('message', (command: JsonCommand) => {
  if (command.kind !== 'parse') return;
  const text = new TextDecoder().decode(command.bytes);
  if (text.includes('exit')) process.exit(3);
  if (text.includes('throw')) throw new Error('as asked');
  if (text.includes('hang')) for (;;);
  if (text.includes('fill')) for (const kept: string[][] = []; ;) kept.push(Array<string>(1e6).fill('x'));
  bodies++;
  const build = { root: { value: bodies }, holders: [], keys: [] };
  port.postMessage({ kind: 'build', build, pieces: 0 } satisfies JsonReport);
});
