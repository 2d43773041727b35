/**
 * Sends the worst inputs, one kind after the other, from a process of its own that gives way to the server.
 * argv: address, requests of a kind at once. stdout: a JSON line for each kind, with the statuses; 0: no answer.
 */
import { Agent, request } from 'node:http';
import { constants, setPriority } from 'node:os';
import process from 'node:process';
import { worstInputs, type WorstInput } from './worst-inputs.ts';

setPriority(constants.priority.PRIORITY_LOW);
const url = process.argv[2]!;
const atOnce = Number(process.argv[3]);
const only = process.argv[4];
/** The client's patience: tokenising 16 MB takes long, and a client that leaves is one of the worst. */
const patienceMs = 2000;

/** @returns the status; `left` when the client lost its patience; 0 when the server closed without an answer */
function send({ body, headers, chunkBytes, path = '/v1/rerank' }: WorstInput): Promise<number | 'left'> {
  return new Promise((resolve) => {
    const length: Record<string, number> = chunkBytes === undefined ? { 'content-length': body.length } : {};
    const asked = request(
      url + path,
      { method: 'POST', agent, headers: { 'content-type': 'application/json', ...length, ...headers } },
      (response) => {
        response.resume();
        response.once('end', () => resolve(response.statusCode!));
        response.once('error', () => resolve(left ? 'left' : 0));
      },
    );
    let left = false;
    const timer = setTimeout(() => {
      left = true;
      asked.destroy();
    }, patienceMs);
    asked.once('error', () => resolve(left ? 'left' : 0));
    asked.once('close', () => clearTimeout(timer));
    if (chunkBytes === undefined) asked.end(body);
    else void writeChunks(body, chunkBytes);

    async function writeChunks(bytes: Buffer, size: number): Promise<void> {
      for (let at = 0; at < bytes.length && !asked.destroyed; at += size) {
        if (!asked.write(bytes.subarray(at, at + size))) await new Promise((done) => setImmediate(done));
      }
      asked.end();
    }
  });
}

const agent = new Agent({ keepAlive: true, maxSockets: Infinity });
for (const [name, make] of Object.entries(worstInputs)) {
  if (only !== undefined && !name.includes(only)) continue;
  const input = { name, ...make() };
  const startedAt = performance.now();
  const statuses = await Promise.all(Array.from({ length: atOnce }, () => send(input)));
  const counts: Record<string, number> = {};
  for (const status of statuses) counts[status] = (counts[status] ?? 0) + 1;
  process.stdout.write(
    `${JSON.stringify({ name, statuses: counts, ms: Math.round(performance.now() - startedAt) })}\n`,
  );
}
process.exit(0);
