import type { ChildProcess } from 'node:child_process';
import { WgrankError } from '../errors.ts';
import type { Engine, EngineInfo, EngineOptions, EnginePair, EngineStats } from '../rerank/engine.ts';
import { packPairs, takePixels, unpackFailure, type EngineCommand, type EngineReport } from './engine-protocol.ts';
import type { EngineStandby } from './engine-standby.ts';
import { forkEngine } from './fork-engine.ts';

export interface SpawnOptions {
  /** Module that exports `loadEngine`; default: wgrank's engine. Tests pass a fake one. */
  readonly engineModule?: URL;
  /** How long `close` waits for a graceful end before SIGKILL. Default 5,000 ms. */
  readonly closeGraceMs?: number;
  /** Gives up loading: the process is killed and `spawnEngine` rejects with `cancelled`. */
  readonly signal?: AbortSignal;
  /** Where a process may stand by that has booted already; default: one is started. */
  readonly standby?: EngineStandby;
}

/** A killed process whose driver does not let go may outlive this. */
export const longestEndMs = 10_000;

/** An engine in a child process. */
export interface EngineProcess extends Engine {
  readonly pid: number;
  /** Resolves when the child has ended, for whatever reason, with a sentence for the log. Never rejects. */
  readonly exited: Promise<string>;
  /** Ends the process at once, whatever it is doing. What is pending rejects with `engine-stopped`. */
  kill(): void;
}

/**
 * Starts `engine-child` and waits until its model is loaded.
 * @throws WgrankError whatever `loadEngine` throws in the child; `engine-stopped` when the child dies first; `cancelled`
 */
export async function spawnEngine(options: EngineOptions, spawn: SpawnOptions = {}): Promise<EngineProcess> {
  if (spawn.signal?.aborted) throw cancelled();
  const child = spawn.standby?.take(spawn.engineModule) ?? forkEngine(spawn.engineModule);
  const link = new EngineLink(child, spawn.closeGraceMs ?? 5000);
  const kill = () => link.kill();
  spawn.signal?.addEventListener('abort', kill, { once: true });
  try {
    return link.toEngine(await link.load(options));
  } catch (error) {
    throw spawn.signal?.aborted ? cancelled() : error;
  } finally {
    spawn.signal?.removeEventListener('abort', kill);
  }
}

const cancelled = () => new WgrankError('cancelled', 'engine', 'the caller gave up');

interface PendingCall {
  resolve(value: Float32Array | EngineStats): void;
  reject(error: Error): void;
}

/** The parent's end of the channel: pairs questions with answers and lets none of them outlive the child. */
class EngineLink {
  readonly #loaded: Promise<EngineInfo>;
  readonly exited: Promise<string>;
  readonly #child: ChildProcess;
  readonly #closeGraceMs: number;
  readonly #pending = new Map<number, PendingCall>();
  #nextId = 1;
  #stopped: WgrankError | undefined;

  constructor(child: ChildProcess, closeGraceMs: number) {
    this.#child = child;
    this.#closeGraceMs = closeGraceMs;
    this.exited = new Promise((resolve) => {
      child.once('exit', (code, signal) => resolve(this.#end(signal ?? `exit code ${code}`)));
      child.once('error', (error) => resolve(this.#end(error.message)));
    });
    // Later errors (a send that races with the end) are covered by 'exit'.
    child.on('error', () => undefined);
    this.#loaded = new Promise((resolve, reject) => {
      child.on('message', (report: EngineReport) => {
        if (report.type === 'ready') resolve(report.info);
        else if (report.type === 'load-failed') reject(unpackFailure(report.failure));
        else this.#settle(report);
      });
      void this.exited.then(() => reject(this.#stopped!));
    });
    // Whoever awaits `exited` only must not be struck by an unhandled rejection of it.
    this.#loaded.catch(() => undefined);
  }

  load(options: EngineOptions): Promise<EngineInfo> {
    this.#send({ type: 'load', options });
    return this.#loaded;
  }

  toEngine(info: EngineInfo): EngineProcess {
    return {
      info,
      pid: this.#child.pid!,
      exited: this.exited,
      score: (pairs, signal) => this.#score(pairs, signal),
      stats: () => this.#ask<EngineStats>((id) => ({ type: 'stats', id })),
      close: () => this.#close(),
      kill: () => this.kill(),
    };
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }

  async #score(pairs: readonly EnginePair[], signal?: AbortSignal): Promise<Float32Array> {
    if (signal?.aborted) throw cancelled();
    if (pairs.length === 0) return new Float32Array();
    const { batch, pieces } = takePixels(packPairs(pairs));
    const id = this.#nextId++;
    for (const bytes of pieces) {
      await this.#sent({ type: 'pixels', id, bytes });
      if (!signal?.aborted) continue;
      this.#send({ type: 'abort', id });
      throw cancelled();
    }
    return this.#ask<Float32Array>(() => ({ type: 'score', id, batch }), signal, id);
  }

  #ask<T extends Float32Array | EngineStats>(
    toCommand: (id: number) => EngineCommand,
    signal?: AbortSignal,
    id = this.#nextId++,
  ): Promise<T> {
    if (this.#stopped !== undefined) return Promise.reject(this.#stopped);
    const { promise, resolve, reject } = withResolvers<T>();
    const abort = () => {
      this.#pending.delete(id);
      this.#send({ type: 'abort', id });
      reject(cancelled());
    };
    this.#pending.set(id, { resolve: (value) => resolve(value as T), reject });
    signal?.addEventListener('abort', abort, { once: true });
    this.#send(toCommand(id));
    return promise.finally(() => signal?.removeEventListener('abort', abort));
  }

  #settle(report: Exclude<EngineReport, { type: 'ready' | 'load-failed' }>): void {
    const call = this.#pending.get(report.id);
    // An aborted call is no longer here; its late answer is dropped.
    if (call === undefined) return;
    this.#pending.delete(report.id);
    if (report.type === 'failed') call.reject(unpackFailure(report.failure));
    else call.resolve(report.type === 'scored' ? report.logits : report.stats);
  }

  #send(command: EngineCommand): void {
    // A failed send means that the child is going: 'exit' rejects what is pending.
    if (this.#child.connected) this.#child.send(command, () => undefined);
  }

  /** Resolves when the channel has taken the message, or will take no more. */
  #sent(command: EngineCommand): Promise<void> {
    return new Promise((resolve) => {
      if (this.#child.connected) this.#child.send(command, () => resolve());
      else resolve();
    });
  }

  #end(reason: string): string {
    this.#stopped ??= new WgrankError('engine-stopped', 'engine', `the engine process ended: ${reason}`);
    for (const call of this.#pending.values()) call.reject(this.#stopped);
    this.#pending.clear();
    return reason;
  }

  async #close(): Promise<void> {
    this.#stopped ??= new WgrankError('engine-stopped', 'engine', 'the engine is closed');
    this.#send({ type: 'close' });
    const timer = setTimeout(() => this.kill(), this.#closeGraceMs);
    let giveUp: NodeJS.Timeout | undefined;
    // A driver may hold a killed process for ever.
    const enough = new Promise<void>((resolve) => (giveUp = setTimeout(resolve, this.#closeGraceMs + longestEndMs)));
    await Promise.race([this.exited, enough]);
    clearTimeout(timer);
    clearTimeout(giveUp);
  }
}

/** Promise.withResolvers, which Node 20 lacks. */
function withResolvers<T>(): { promise: Promise<T>; resolve(value: T): void; reject(error: Error): void } {
  let resolve!: (value: T) => void;
  let reject!: (error: Error) => void;
  const promise = new Promise<T>((onValue, onError) => {
    resolve = onValue;
    reject = onError;
  });
  return { promise, resolve, reject };
}
