import { setTimeout as sleep } from 'node:timers/promises';
import { WgrankError, type ErrorCode } from '../errors.ts';
import type { Engine, EngineInfo, EnginePair, EngineStats } from '../rerank/engine.ts';
import type { EngineProcess } from './engine-process.ts';
import { EngineStandby } from './engine-standby.ts';
import { ReplayQueue, type Call } from './replay-queue.ts';
import { RestartPolicy, type RestartLimits } from './restart-policy.ts';
import { endProcess, startEngine, type StartedEngine } from './start-engine.ts';

/**
 * `restarting`: calls wait for the next process; `broken`: calls are refused until there is one, as it was lost again and again;
 * `stopped`: closed.
 */
export type SupervisedState = 'ready' | 'restarting' | 'broken' | 'stopped';

export interface SupervisionOptions {
  /**
   * Starts a process and loads the model in it; gives up when the signal says so.
   * @param standby for `spawnEngine`: the next process may have booted already
   */
  spawn(signal: AbortSignal, standby: EngineStandby): Promise<EngineProcess>;
  /** Gives up the first start. */
  readonly signal?: AbortSignal;
  /** How often a call is sent again at the most. Its last attempt has the process for itself. Default 2. */
  readonly maxReplays?: number;
  /** Shortest silence with calls in flight that is taken for a hang. Default: 30 s on hardware, 120 s on software adapters. */
  readonly hangMs?: number;
  readonly limits?: Partial<RestartLimits>;
  /** Called whenever the state changes, with the reason for the log. */
  onStateChange?(state: SupervisedState, reason: string): void;
  /** Lines for the operator. */
  log?(line: string): void;
  /** Hears what the engine's processes print; default: it goes to stderr. */
  onLine?(line: string): void;
}

/** Failures of the engine and not of the call: another process may well answer it. */
const losses: ReadonlySet<ErrorCode> = new Set(['device-lost', 'gpu-error', 'out-of-memory', 'engine-stopped']);

/** A process has ten times as long to load as the first one took, and a minute at the least. */
const loadPatience = { times: 10, leastMs: 60_000 };

/** How long metrics wait for a process that does not answer. */
const statsLimitMs = 1000;

/** A process and the calls that it has, each with its number in the watch. */
interface Running extends StartedEngine {
  readonly calls: Map<Call, number>;
}

/**
 * An engine that outlives its process. When the process ends, loses its device, runs out of memory or hangs, another one is
 * started and gets the calls that were in flight: a score depends on the pair alone, so callers notice a delay and nothing else.
 */
export class SupervisedEngine implements Engine {
  readonly #options: SupervisionOptions;
  readonly #policy: RestartPolicy;
  readonly #queue: ReplayQueue;
  readonly #closing = new AbortController();
  readonly #standby: EngineStandby;
  readonly #loadLimitMs: number;
  /** Of the first process: what callers were told. */
  readonly #first: EngineInfo;
  #state: SupervisedState = 'ready';
  #running: Running | undefined;
  #info: EngineInfo;
  #msPerToken: number | undefined;
  #restarting: Promise<void> | undefined;
  #closed: Promise<void> | undefined;
  #stats: EngineStats = { queuedPairs: 0, queuedTokens: 0, batches: 0, batchTokens: 0, gpuBytes: 0 };
  #restarts = 0;
  #replays = 0;

  /** @throws WgrankError whatever the first start throws: it is not repeated */
  static async start(options: SupervisionOptions): Promise<SupervisedEngine> {
    const { hangMs, signal = new AbortController().signal } = options;
    const standby = new EngineStandby(options.onLine);
    const began = performance.now();
    const started = await startEngine({ spawn: (given) => options.spawn(given, standby), hangMs, signal });
    return new SupervisedEngine(options, standby, started, performance.now() - began);
  }

  private constructor(options: SupervisionOptions, standby: EngineStandby, first: StartedEngine, loadMs: number) {
    this.#options = options;
    this.#standby = standby;
    this.#policy = new RestartPolicy(options.limits);
    this.#loadLimitMs = Math.max(loadPatience.leastMs, loadPatience.times * loadMs);
    this.#queue = new ReplayQueue(options.maxReplays ?? 2, (call) => this.#abandon(call));
    this.#first = this.#info = first.engine.info;
    this.#run(first);
  }

  /** Of the process that runs or ran last. */
  get info(): EngineInfo {
    return this.#info;
  }

  get state(): SupervisedState {
    return this.#state;
  }

  /** Process id of the engine, while there is one. */
  get pid(): number | undefined {
    return this.#running?.engine.pid;
  }

  /** For metrics: starts after the first, and calls that were sent again. */
  get counts(): { readonly restarts: number; readonly replays: number } {
    return { restarts: this.#restarts, replays: this.#replays };
  }

  /**
   * @throws WgrankError as any engine, and `engine-restarting` while the breaker is open; `gpu-error` when every process that had
   *   the call was lost
   */
  async score(pairs: readonly EnginePair[], signal?: AbortSignal): Promise<Float32Array> {
    if (signal?.aborted) throw cancelled();
    if (this.#state === 'stopped') throw closed();
    if (this.#state === 'broken') throw this.#refusal();
    if (pairs.length === 0) return new Float32Array();
    const outcome = this.#queue.add(pairs, signal);
    this.#pump();
    return outcome;
  }

  /** Of the process that runs; what it said last while it is silent; counts begin anew with each process. */
  async stats(): Promise<EngineStats> {
    if (this.#state === 'stopped') throw closed();
    const running = this.#running;
    if (running === undefined) return this.#stats;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<undefined>((resolve) => {
      timer = setTimeout(() => resolve(undefined), statsLimitMs);
    });
    const asked = running.engine.stats().catch(() => undefined);
    const answer = await Promise.race([asked, late]).finally(() => clearTimeout(timer));
    if (answer !== undefined && running === this.#running) this.#stats = answer;
    return this.#stats;
  }

  close(): Promise<void> {
    return (this.#closed ??= this.#end());
  }

  async #end(): Promise<void> {
    const running = this.#running;
    this.#running = undefined;
    this.#enter('stopped', 'the engine is closed');
    this.#closing.abort();
    running?.watch.stop();
    for (const call of running?.calls.keys() ?? []) call.reject(closed());
    running?.calls.clear();
    this.#queue.rejectAll(closed());
    await Promise.all([running?.engine.close(), this.#restarting, this.#standby.close()]);
  }

  #enter(state: SupervisedState, reason: string): void {
    if (this.#state === state || this.#state === 'stopped') return;
    this.#state = state;
    this.#options.onStateChange?.(state, reason);
  }

  #run(started: StartedEngine): void {
    const running: Running = { ...started, calls: new Map() };
    this.#running = running;
    this.#info = describe(running);
    void running.engine.exited.then((reason) => this.#lose(running, `the process ended: ${reason}`));
    void running.watch.hung.then((reason) => this.#lose(running, reason));
    this.#enter('ready', 'the engine answers');
    this.#pump();
    this.#standby.prepare();
  }

  /** Sends what waits to the process. */
  #pump(): void {
    const running = this.#running;
    if (running === undefined) return;
    for (;;) {
      const [other] = running.calls.keys();
      const call = this.#queue.take(other);
      if (call === undefined) return;
      this.#send(running, call);
    }
  }

  #send(running: Running, call: Call): void {
    const ticket = running.watch.sent(call.tokens);
    running.calls.set(call, ticket);
    if (call.losses > 0) this.#replays++;
    running.engine.score(call.pairs, call.signal).then(
      (logits) => this.#settle(running, call, ticket, logits),
      (error: Error) => this.#settle(running, call, ticket, error),
    );
  }

  #settle(running: Running, call: Call, ticket: number, outcome: Float32Array | Error): void {
    // What a lost process says of calls that another one has, and what was given up, is of no interest.
    if (!running.calls.has(call)) return;
    const code = outcome instanceof WgrankError ? outcome.code : undefined;
    if (code !== undefined && losses.has(code)) return this.#lose(running, (outcome as WgrankError).message);
    running.calls.delete(call);
    if (outcome instanceof Error) {
      if (code === 'numeric-range') running.watch.answered(ticket);
      else running.watch.refused(ticket);
      call.reject(outcome);
    } else {
      running.watch.answered(ticket);
      this.#policy.answered();
      call.resolve(outcome);
    }
    this.#pump();
  }

  #abandon(call: Call): void {
    const running = this.#running;
    const ticket = running?.calls.get(call);
    if (ticket !== undefined) running!.watch.abandoned(ticket);
    running?.calls.delete(call);
    this.#pump();
  }

  /** Ends a process; its calls wait for the next one, or fail if it is time. */
  #lose(running: Running, reason: string): void {
    if (this.#running !== running) return;
    this.#running = undefined;
    this.#msPerToken = running.watch.msPerToken;
    running.watch.stop();
    const { repeated, failed, explained } = this.#queue.takeBack([...running.calls.keys()], reason);
    running.calls.clear();
    this.#policy.lostRunning(explained);
    const givenUp = failed > 0 ? `, ${failed} given up` : '';
    this.#options.log?.(`the engine was lost: ${reason}; calls in flight: ${repeated} to be repeated${givenUp}`);
    this.#afterLoss(reason);
    this.#restarting = this.#restart(running.engine);
  }

  #afterLoss(reason: string): void {
    this.#enter(this.#policy.broken ? 'broken' : 'restarting', reason);
    if (this.#state === 'broken') this.#queue.rejectAll(this.#refusal());
  }

  /** Starts processes until one answers. */
  async #restart(lost: EngineProcess): Promise<void> {
    const { signal } = this.#closing;
    const { hangMs } = this.#options;
    const spawn = (given: AbortSignal) => this.#options.spawn(given, this.#standby);
    await endProcess(lost);
    while (!signal.aborted) {
      try {
        await sleep(this.#policy.delayMs, undefined, { signal });
        const before = { info: this.#first, msPerToken: this.#msPerToken };
        const began = performance.now();
        const started = await startEngine({ spawn, signal, hangMs, before, limitMs: this.#loadLimitMs });
        if (signal.aborted) return await started.engine.close();
        this.#restarts++;
        this.#options.log?.(`the engine is back after ${Math.round(performance.now() - began)} ms`);
        for (const change of started.changes) this.#options.log?.(`warning  the engine is not what it was: ${change}`);
        this.#run(started);
        return;
      } catch (error) {
        if (signal.aborted) return;
        const reason = error instanceof Error ? error.message : String(error);
        this.#policy.lostStarting();
        this.#options.log?.(`the engine could not be started: ${reason}; next attempt in ${this.#policy.delayMs} ms`);
        this.#afterLoss(reason);
      }
    }
  }

  #refusal(): WgrankError {
    const detail = `the engine was lost ${this.#policy.losses} times without an answer and is being started (retry later)`;
    return new WgrankError('engine-restarting', 'engine', detail);
  }
}

function describe({ engine: { info }, changes }: Running): EngineInfo {
  if (changes.length === 0) return info;
  return { ...info, warnings: [...info.warnings, `after a restart: ${changes.join('; ')}`] };
}

const cancelled = () => new WgrankError('cancelled', 'engine', 'the caller gave up');
const closed = () => new WgrankError('engine-stopped', 'engine', 'the engine is closed');
