import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';

export interface Target {
  readonly url: string;
  readonly port: number;
  /** How the process ended; undefined while it runs. */
  readonly end: () => string | undefined;
  /** What it wrote to its standard error, the last of it. */
  readonly said: () => string;
  stop(): Promise<void>;
}

/** `serve`: the command line with the embedded model, nothing faked. `stub`: the HTTP side over an engine that answers at once. */
export type TargetName = 'serve' | 'stub';

const commands: Readonly<Record<TargetName, readonly [file: string, ...args: string[]]>> = {
  serve: ['../../src/cli.ts', 'serve', '--port', '0'],
  stub: ['../server/stub-server-child.ts'],
};

/** Variables of the tests, which the command line would refuse as its own. */
const plainEnvironment = () =>
  Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('WGRANK_')));

/** A server in a process of its own, once it answers. */
export async function startTarget(name: TargetName): Promise<Target> {
  const [file, ...args] = commands[name];
  const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
  const child = spawn(process.execPath, ['--import', tsx, fileURLToPath(new URL(file, import.meta.url)), ...args], {
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    env: plainEnvironment(),
  });
  let said = '';
  let end: string | undefined;
  child.stdout!.on('data', (chunk: Buffer) => (said = (said + chunk.toString()).slice(-20_000)));
  child.stderr!.on('data', (chunk: Buffer) => (said = (said + chunk.toString()).slice(-20_000)));
  child.on('message', (message) => (said += String(message)));
  const exited = once(child, 'exit').then(([code, signal]) => (end = `exit ${code ?? signal}`));
  const address = async () => {
    for (;;) {
      const found = /http:\/\/127\.0\.0\.1:\d+/.exec(said)?.[0];
      if (found !== undefined && (await fetch(`${found}/ready`)).ok) return found;
      await sleep(50);
    }
  };
  const url = await Promise.race([address(), exited.then((how) => Promise.reject(new Error(`${how}\n${said}`)))]);
  return {
    url,
    port: Number(new URL(url).port),
    end: () => end,
    said: () => said,
    stop: async () => {
      child.kill('SIGTERM');
      const killing = setTimeout(() => child.kill('SIGKILL'), 5000);
      await exited;
      clearTimeout(killing);
    },
  };
}
