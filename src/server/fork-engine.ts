import type { ChildProcess } from 'node:child_process';
import process from 'node:process';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { withoutSecrets } from '../process/child-environment.ts';
import { forkModule, neighbour } from '../process/start-module-node.ts';
import type { EngineLaunch } from './engine-protocol.ts';

/** Batches leave little garbage; V8's own choice is 48 MiB for it, which it takes in the course of hundreds of batches. */
const flags = ['--max-semi-space-size=2'];

/**
 * Starts `engine-child`, which reads its modules and waits to be told what to load.
 * @param engineModule see `SpawnOptions`
 * @param onLine       hears what the process prints; default: it goes to stderr
 */
export function forkEngine(engineModule: URL | undefined, onLine: (line: string) => void = toStderr): ChildProcess {
  const launch: EngineLaunch = engineModule === undefined ? {} : { engineModule: engineModule.href };
  const child = forkModule(neighbour(import.meta.url, 'engine-child'), {
    args: [JSON.stringify(launch)],
    flags,
    env: withoutSecrets(process.env),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  // One that could not be started has neither streams nor a channel, and says so once more than those who own it listen.
  child.on('error', () => undefined);
  for (const stream of [child.stdout, child.stderr]) if (stream) forwardLines(stream, onLine);
  return child;
}

/** What Dawn and the Vulkan loader print while they look for adapters, said in our own words when it matters. */
const driverNoise = /^Warning: (maxDynamic\w+BuffersPerPipelineLayout|vkCreateInstance|loader_)|^ +at CheckVk|^$/;

function forwardLines(stream: Readable, onLine: (line: string) => void): void {
  createInterface({ input: stream }).on('line', (line) => {
    if (!driverNoise.test(line)) onLine(line);
  });
}

const toStderr = (line: string): void => void process.stderr.write(`${line}\n`);
