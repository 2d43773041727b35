import { fork } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';

export interface StubServer {
  readonly url: string;
  /** CPU time so far. */
  cpuMs(): Promise<number>;
  stop(): void;
}

/** @param words of stub-server-child @param flags of Node, such as `--cpu-prof` */
export async function startStubServer(
  words: readonly string[] = [],
  flags: readonly string[] = [],
): Promise<StubServer> {
  const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
  const child = fork(fileURLToPath(new URL('./stub-server-child.ts', import.meta.url)), words, {
    execArgv: ['--import', tsx, ...flags],
  });
  const ended = once(child, 'exit').then(([code]) => {
    throw new Error(`the stub server ended with ${code}`);
  });
  ended.catch(() => undefined);
  const [url] = (await Promise.race([once(child, 'message'), ended])) as [string];
  return {
    url,
    async cpuMs() {
      child.send('cpu');
      const [ms] = (await once(child, 'message')) as [number];
      return ms;
    },
    stop: () => child.disconnect(),
  };
}
