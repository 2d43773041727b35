import { WgrankError } from '../errors.ts';
import type { EngineInfo, EnginePair } from '../rerank/engine.ts';
import { longestEndMs, type EngineProcess } from './engine-process.ts';
import { HangWatch } from './hang-watch.ts';

/** How long a working engine may be silent at the least: a CPU rasteriser is slow with anything. */
const defaultHangMs = { hardware: 30_000, software: 120_000 };

/** What the engine is asked to prove that it can score: short, and ids that every vocabulary has. */
const probePairs: readonly EnginePair[] = [{ ids: new Int32Array(16), truncatedTokens: 0 }];
const probeTokens = 16;

export interface StartOptions {
  /** Starts a process and loads the model in it. Gives up when the signal says so. */
  spawn(signal: AbortSignal): Promise<EngineProcess>;
  readonly signal: AbortSignal;
  /** How long loading may take; default: as long as it likes. */
  readonly limitMs?: number | undefined;
  /** Default: 30 s on hardware, 120 s on software adapters. */
  readonly hangMs?: number | undefined;
  /** What is known from the process before this one. */
  readonly before?: { readonly info: EngineInfo; readonly msPerToken: number | undefined } | undefined;
}

/** An engine process that has proved that it scores. */
export interface StartedEngine {
  readonly engine: EngineProcess;
  readonly watch: HangWatch;
  /** What is not as it was before, one sentence each. */
  readonly changes: readonly string[];
}

/**
 * Starts an engine process, holds it against the one before it, and has it score one short pair.
 * @throws WgrankError whatever loading throws; `cancelled`; `engine-stopped` when it takes too long or does not answer;
 *   `config-invalid` when the folder holds another model now
 */
export async function startEngine(options: StartOptions): Promise<StartedEngine> {
  const { hangMs, before } = options;
  const engine = await spawnInTime(options);
  try {
    const changes = before === undefined ? [] : compareInfo(before.info, engine.info);
    const watch: HangWatch = new HangWatch({
      hangMs: hangMs ?? defaultHangMs[engine.info.software ? 'software' : 'hardware'],
      abandonedTokens: 2 * engine.info.maxBatchTokens,
      msPerToken: before?.msPerToken,
      probe: () => void probe(engine, watch).catch(() => undefined), // its silence is what tells
    });
    await prove(engine, watch, options.signal);
    return { engine, watch, changes };
  } catch (error) {
    await endProcess(engine);
    throw error;
  }
}

/** Kills a process and waits until it is gone, and its memory with it; but not for ever on one that a driver holds. */
export async function endProcess(engine: EngineProcess): Promise<void> {
  engine.kill();
  let timer: NodeJS.Timeout | undefined;
  const enough = new Promise<void>((resolve) => (timer = setTimeout(resolve, longestEndMs)));
  await Promise.race([engine.exited, enough]);
  clearTimeout(timer);
}

async function spawnInTime({ spawn, signal, limitMs }: StartOptions): Promise<EngineProcess> {
  const giveUp = new AbortController();
  const stop = () => giveUp.abort();
  signal.addEventListener('abort', stop, { once: true });
  if (signal.aborted) stop();
  const timer = limitMs === undefined ? undefined : setTimeout(stop, limitMs);
  try {
    return await spawn(giveUp.signal);
  } catch (error) {
    if (!giveUp.signal.aborted || signal.aborted) throw error;
    throw stopped(`loading took longer than ${limitMs} ms`);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', stop);
  }
}

/** One pair through the engine, before callers get to it. */
async function prove(engine: EngineProcess, watch: HangWatch, signal: AbortSignal): Promise<void> {
  let cancel!: () => void;
  const ended = new Promise<never>((_, reject) => {
    cancel = () => reject(new WgrankError('cancelled', 'engine', 'the start was given up'));
    void watch.hung.then((sentence) => reject(stopped(sentence)));
  });
  signal.addEventListener('abort', cancel, { once: true });
  if (signal.aborted) cancel();
  try {
    await Promise.race([probe(engine, watch), ended]);
  } catch (error) {
    watch.stop();
    throw error;
  } finally {
    signal.removeEventListener('abort', cancel);
  }
}

async function probe(engine: EngineProcess, watch: HangWatch): Promise<void> {
  const ticket = watch.sent(probeTokens);
  try {
    await engine.score(probePairs);
    watch.answered(ticket);
  } catch (error) {
    // A model that makes no finite number of the probe may well do so of real texts: it says so for each of them.
    if (!isNumericRange(error)) throw error;
    watch.answered(ticket);
  }
}

const isNumericRange = (error: unknown) => error instanceof WgrankError && error.code === 'numeric-range';
const stopped = (detail: string) => new WgrankError('engine-stopped', 'engine', detail);

/**
 * Scores have to mean what they meant. A different adapter or another precision is served all the same, as a GPU that is gone
 * leaves the choice between a slow answer and none; a different model is not.
 * @returns what has changed
 * @throws WgrankError `config-invalid`
 */
export function compareInfo(before: EngineInfo, after: EngineInfo): string[] {
  const differs = (key: keyof EngineInfo) => before[key] !== after[key];
  const sentence = (key: keyof EngineInfo) => `${key} was ${String(before[key])} and is ${String(after[key])}`;
  const meaning = (['kind', 'architecture', 'activation'] as const).filter(differs);
  if (meaning.length > 0) {
    const detail = `the model folder holds another model now: ${meaning.map(sentence).join('; ')} (restart the server)`;
    throw new WgrankError('config-invalid', 'engine', detail);
  }
  return (['adapter', 'software', 'dtype', 'maxTokens', 'maxBatchTokens'] as const).filter(differs).map(sentence);
}
