import type { ChildProcess } from 'node:child_process';
import process from 'node:process';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { withoutSecrets } from '../process/child-environment.ts';
import { forkModule, neighbour } from '../process/fork-module-node.ts';
import type { EngineLaunch } from './engine-protocol.ts';

/** Starts `engine-child`, which reads its modules and waits to be told what to load. @param engineModule see `SpawnOptions` */
export function forkEngine(engineModule: URL | undefined): ChildProcess {
  const launch: EngineLaunch = engineModule === undefined ? {} : { engineModule: engineModule.href };
  const child = forkModule(neighbour(import.meta.url, 'engine-child'), {
    args: [JSON.stringify(launch)],
    env: withoutSecrets(process.env),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  for (const stream of [child.stdout!, child.stderr!]) forwardLines(stream);
  return child;
}

/** What Dawn and the Vulkan loader print while they look for adapters, said in our own words when it matters. */
const driverNoise = /^Warning: (maxDynamic\w+BuffersPerPipelineLayout|vkCreateInstance|loader_)|^ +at CheckVk|^$/;

/** The child's output belongs to the log: both of its streams go to our stderr, line by line. */
function forwardLines(stream: Readable): void {
  createInterface({ input: stream }).on('line', (line) => {
    if (!driverNoise.test(line)) process.stderr.write(`${line}\n`);
  });
}
