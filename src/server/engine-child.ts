/**
 * The engine's own process: Dawn and its driver live here, so that a busy, hung or crashed GPU side leaves the HTTP side alone.
 * Started by `spawnEngine`; speaks `engine-protocol.ts` over the IPC channel.
 */
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { WgrankError } from '../errors.ts';
import type { Engine, EngineOptions } from '../rerank/engine.ts';
import {
  givePixels,
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
/** Pixels that have come for score commands to come. */
const pixels = new Map<number, Uint8Array[]>();
/** A closed engine has failed, too, but was asked to. */
let closing = false;

/** How long after a wait that it ends a device may be late with its loss. */
const nameWaitMs = 100;

const { engineModule } = JSON.parse(process.argv[2] ?? '{}') as EngineLaunch;
// Read at once, while the model has to wait for the parent's word: until then this process may stand by.
const imported = importEngine(engineModule);
imported.catch(() => undefined); // said when it is needed
process.once('message', ({ options }: EngineCommand & { type: 'load' }) => void load(options));

async function load(options: EngineOptions): Promise<void> {
  try {
    const { loadEngine } = await imported;
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
  if (command.type === 'load') return;
  if (command.type === 'pixels') return keepPixels(command);
  if (command.type === 'abort') {
    pixels.delete(command.id);
    return running.get(command.id)?.abort();
  }
  if (command.type === 'close') return closeAndExit(engine);
  try {
    if (command.type === 'stats') {
      report({ type: 'stats', id: command.id, stats: await engine.stats() });
    } else {
      report({ type: 'scored', id: command.id, logits: await score(engine, command) });
    }
  } catch (error) {
    const failure = packFailure(await nameError(engine, error));
    if (failure.code === undefined) console.error(error);
    report({ type: 'failed', id: command.id, failure });
  }
}

/** A lost device may end what waits for it before it says that it is lost: an error without a name waits for its name. */
async function nameError(engine: Engine, error: unknown): Promise<unknown> {
  if (error instanceof WgrankError || engine.failed === undefined) return error;
  return Promise.race([engine.failed, sleep(nameWaitMs, error)]);
}

function keepPixels({ id, bytes }: EngineCommand & { type: 'pixels' }): void {
  const pieces = pixels.get(id);
  if (pieces) pieces.push(bytes);
  else pixels.set(id, [bytes]);
}

async function score(engine: Engine, command: EngineCommand & { type: 'score' }): Promise<Float32Array> {
  const controller = new AbortController();
  running.set(command.id, controller);
  try {
    const batch = givePixels(command.batch, pixels.get(command.id) ?? []);
    pixels.delete(command.id);
    return await engine.score(unpackPairs(batch), controller.signal);
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
