// The command line with fake parts, as a process of its own: what test/server/cli-process.test.ts starts and signals.
import { launch } from '../../src/cli/launch.ts';
import { run } from '../../src/cli/run.ts';
import { createFakeParts } from './fake-parts.ts';

const write = (line: string) => process.stderr.write(`${line}\n`);
const print = (line: string) => process.stdout.write(`${line}\n`);
process.exit(
  await run(process.argv.slice(2), {
    launch: (flags) => launch(flags, createFakeParts(), { log: write, print }),
    inspect: async () => 0,
    writeOut: print,
    writeErr: write,
  }),
);
