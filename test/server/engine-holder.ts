// A parent for the test that kills it: starts a fake engine and prints the child's process id.
import { spawnEngine } from '../../src/server/engine-process.ts';

const engine = await spawnEngine(
  { modelDir: 'fake' },
  { engineModule: new URL('../support/fake-engine.ts', import.meta.url) },
);
process.stdout.write(`${engine.pid}\n`);
