/**
 * The engine's own process: Dawn and its driver live here, so that a busy, hung or crashed GPU side leaves the HTTP side alone.
 * Started by `spawnEngine`; speaks `engine-protocol.ts` over the IPC channel.
 */
import process from 'node:process';
import type { Engine } from '../rerank/engine.ts';
import {
  packFailure,
  unpackPairs,
  type EngineCommand,
  type EngineLaunch,
  type EngineModule,
  type EngineReport,
} from './engine-protocol.ts';

// Ctrl-C and `systemctl stop` signal the whole group; only the parent decides when scoring may end.
process.on('SIGINT', () => undefined);
process.on('SIGTERM', () => undefined);
// The parent is gone: nobody is left to answer.
process.on('disconnect', () => process.exit(0));

const running = new Map<number, AbortController>();
/** A closed engine has failed, too, but was asked to. */
let closing = false;

await main();

async function main(): Promise<void> {
  const { options, engineModule } = JSON.parse(process.argv[2] ?? '{}') as EngineLaunch;
  try {
    const { loadEngine } = await importEngine(engineModule);
    const engine = await loadEngine(options);
    process.on('message', (command: EngineCommand) => void obey(engine, command));
    void engine.failed?.then(endAfterAnswers);
    report({ type: 'ready', info: engine.info });
  } catch (error) {
    const failure = packFailure(error);
    if (failure.code === undefined) console.error(error);
    process.send?.({ type: 'load-failed', failure } satisfies EngineReport, () => process.exit(1));
  }
}

function importEngine(address: string | undefined): Promise<EngineModule> {
  return address === undefined ? import('../rerank/load-engine-node.ts') : (import(address) as Promise<EngineModule>);
}

async function obey(engine: Engine, command: EngineCommand): Promise<void> {
  if (command.type === 'abort') return running.get(command.id)?.abort();
  if (command.type === 'close') return closeAndExit(engine);
  try {
    if (command.type === 'stats') {
      report({ type: 'stats', id: command.id, stats: await engine.stats() });
    } else {
      report({ type: 'scored', id: command.id, logits: await score(engine, command) });
    }
  } catch (error) {
    const failure = packFailure(error);
    if (failure.code === undefined) console.error(error);
    report({ type: 'failed', id: command.id, failure });
  }
}

async function score(engine: Engine, command: EngineCommand & { type: 'score' }): Promise<Float32Array> {
  const controller = new AbortController();
  running.set(command.id, controller);
  try {
    return await engine.score(unpackPairs(command.batch), controller.signal);
  } finally {
    running.delete(command.id);
  }
}

/** An engine that can score no more is worth less than none: the server learns of an exit at once. */
function endAfterAnswers(reason: Error): void {
  if (closing) return;
  console.error(reason.message);
  setTimeout(() => process.exit(1), 100);
}

async function closeAndExit(engine: Engine): Promise<never> {
  closing = true;
  try {
    await engine.close();
  } catch (error) {
    console.error(error);
  }
  // dawn.node keeps the event loop alive, so the process has to be ended.
  process.exit(0);
}

function report(message: EngineReport): void {
  // A closed channel means that the parent is gone; 'disconnect' ends this process.
  process.send?.(message, () => undefined);
}
