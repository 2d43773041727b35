import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, test } from 'vitest';
import { postRerank } from './fake-reranker.ts';

interface RunningCommand {
  readonly process: ChildProcess;
  readonly exit: Promise<number | null>;
  out: string;
  err: string;
}

const commands: RunningCommand[] = [];
afterEach(() => commands.splice(0).forEach((command) => command.process.kill('SIGKILL')));

function start(args: string): RunningCommand {
  const holder = fileURLToPath(new URL('./cli-holder.ts', import.meta.url));
  const child = spawn(process.execPath, ['--import', 'tsx', holder, ...args.split(' ')], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const exit = once(child, 'close').then(([code]) => code as number | null);
  const command: RunningCommand = { process: child, exit, out: '', err: '' };
  child.stdout.on('data', (chunk: Buffer) => (command.out += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (command.err += chunk.toString()));
  commands.push(command);
  return command;
}

async function readyUrl(command: RunningCommand): Promise<string> {
  await expect.poll(() => command.err, { timeout: 20_000 }).toContain('ready after');
  return /at (http:\S+)/.exec(command.err)![1]!;
}

test('serves, prints the example, and ends with 0 on SIGTERM after the request in flight', async () => {
  const command = start('serve some/model --port 0 --example --tp 1');
  const url = await readyUrl(command);
  await expect.poll(() => command.out).toContain('curl');
  expect(command.err).toContain('loading some/model (folder) · FakeForSequenceClassification, cross-encoder');
  expect(command.err).toContain('no effect here: --tp 1');
  expect(command.out).toContain('query: what is panda?');

  const slow = postRerank(url, { query: 'q', documents: ['slower'] });
  await new Promise((resolve) => setTimeout(resolve, 500));
  command.process.kill('SIGTERM');
  expect((await slow).status).toBe(200);
  expect(await command.exit).toBe(0);
  expect(command.err).toContain('SIGTERM: finishing requests in flight');
});

test('a second signal ends at once', async () => {
  const command = start('serve m --port 0');
  const url = await readyUrl(command);
  const hanging = postRerank(url, { query: 'q', documents: ['hang'] }).catch((error: Error) => error.message);
  await new Promise((resolve) => setTimeout(resolve, 500));
  command.process.kill('SIGINT');
  await expect.poll(() => command.err).toContain('SIGINT: finishing');
  command.process.kill('SIGTERM');
  expect(await command.exit).toBe(143);
  expect(await hanging).toBe('fetch failed');
});

test('a signal while the model loads ends with 0', async () => {
  const command = start('serve load-hang --port 0');
  await expect.poll(() => command.err, { timeout: 20_000 }).toContain('loading load-hang');
  command.process.kill('SIGTERM');
  expect(await command.exit).toBe(0);
});

test.each([
  ['serve unsupported', 1, '[registry] LlamaForCausalLM is not implemented\n'],
  ['serve m --max-length 513', 2, '[serve] --max-length 513 exceeds what the model can read'],
  ['serve fail:checkpoint-invalid --port 0', 1, '\n[fake] loading fails as asked\n'],
  ['serve m --host 256.0.0.1 --insecure', 1, '[server] cannot listen on 256.0.0.1:30000: '],
])('%s: exit code %i and the reason without a stack', async (args, code, text) => {
  const command = start(args);
  expect(await command.exit).toBe(code);
  expect(command.err).toContain(text.trimStart());
  expect(command.err).not.toMatch(/\n\s+at /);
});
