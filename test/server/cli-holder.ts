// The command line with fake parts, as a process of its own: what test/server/cli-process.test.ts starts and signals.
import { launch } from '../../src/cli/launch.ts';
import { run } from '../../src/cli/run.ts';
import { createLogger } from '../../src/server/log.ts';
import { createFakeParts } from './fake-parts.ts';

const print = (line: string) => process.stdout.write(`${line}\n`);
const logger = createLogger({ level: 'info', format: 'json' });
process.exit(
  await run(process.argv.slice(2), {
    launch: (flags) => launch(flags, createFakeParts(), { logger, print }),
    inspect: async () => 0,
    writeOut: print,
    writeErr: (text) => process.stderr.write(text),
  }),
);
