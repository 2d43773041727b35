/** The body of the thread that checks and parses large request bodies. Started by `JsonThread`. */
import { parentPort } from 'node:worker_threads';
import { HttpRefusal } from './error-answer.ts';
import { parseJson } from './json-parse.ts';
import { takeApart } from './json-pieces.ts';
import type { JsonCommand, JsonReport } from './json-protocol.ts';

const port = parentPort!;
let waiting: Iterator<readonly string[]> | undefined;

port.on('message', (command: JsonCommand) => {
  if (command.kind === 'parse') parse(command);
  else if (command.kind === 'next') sendPiece();
  else waiting = undefined;
});

function parse({ bytes, limits }: JsonCommand & { kind: 'parse' }): void {
  report({ kind: 'begun' });
  try {
    const { build, pieces } = takeApart(parseJson(bytes, limits));
    waiting = pieces.values();
    report({ kind: 'build', build, pieces: pieces.length });
  } catch (error) {
    // Anything else ends the thread, which fails the request.
    if (!(error instanceof HttpRefusal)) throw error;
    report({ kind: 'refused', status: error.status, message: error.message });
  }
}

function sendPiece(): void {
  const next = waiting?.next();
  if (next?.done === false) report({ kind: 'piece', texts: next.value });
  else waiting = undefined;
}

function report(message: JsonReport): void {
  port.postMessage(message);
}
