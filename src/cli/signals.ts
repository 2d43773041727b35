import process from 'node:process';
import type { RunningServer } from '../server/serve.ts';

const signalNumbers = { SIGINT: 2, SIGTERM: 15 } as const;

/**
 * The first SIGINT or SIGTERM drains the server, the second ends the process at once.
 * @returns the exit code after the drain: 0, or 1 when requests were cut
 */
export function stopOnSignals(server: RunningServer, log: (line: string) => void): Promise<number> {
  return new Promise((resolve, reject) => {
    let stopping = false;
    const stop = (signal: keyof typeof signalNumbers) => {
      if (stopping) process.exit(128 + signalNumbers[signal]);
      stopping = true;
      log(`${signal}: finishing requests in flight (a second signal ends at once)`);
      server.close().then((drained) => resolve(drained ? 0 : 1), reject);
    };
    process.on('SIGINT', stop);
    process.on('SIGTERM', stop);
  });
}
