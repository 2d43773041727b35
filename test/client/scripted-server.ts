import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect } from 'vitest';

export type Step = (response: ServerResponse, request: IncomingMessage) => void;

/** A server that answers each request by the next step, the last one for all that follow. */
export async function startScript(...steps: readonly [Step, ...Step[]]) {
  const arrivals: number[] = [];
  const server = createServer((request, response) => {
    const step = steps[Math.min(arrivals.length, steps.length - 1)]!;
    arrivals.push(performance.now());
    request.resume().once('end', () => step(response, request));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    /** When each request came. */
    arrivals,
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

export const answerWith =
  (status: number, body: unknown, headers: Record<string, string> = {}): Step =>
  (response) => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers });
    response.end(typeof body === 'string' ? body : JSON.stringify(body));
  };

/** What a server says of the documents `a` and `b`. */
export const goodAnswer = {
  id: 'an-id',
  object: 'list',
  model: 'a-model',
  results: [
    { index: 1, relevance_score: 0.75 },
    { index: 0, relevance_score: 0.25 },
  ],
  usage: { prompt_tokens: 8, completion_tokens: 0, total_tokens: 8 },
  meta: { warnings: ['1 of 2 documents were cut to the length that the model reads'] },
};

/** What a call rejects with; one that answers fails the test. */
export const failureOf = (call: Promise<unknown>): Promise<unknown> =>
  call.then(
    (value) => expect.fail(`it answered ${JSON.stringify(value)}`),
    (error: unknown) => error,
  );
