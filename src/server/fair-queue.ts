import { WgrankError } from '../errors.ts';
import type { Engine, EngineInfo, EnginePair, EngineStats } from '../rerank/engine.ts';
import type { ScoreOptions } from '../rerank/rerank-phase.ts';
import { systemClock, type Clock } from './clock.ts';
import { cutSlices, type Slice } from './cut-slices.ts';
import { OverloadedError } from './overloaded-error.ts';
import { QueuedCall, type Ticket } from './queued-call.ts';
import { Throughput } from './throughput.ts';
import { WaitingRoom } from './waiting-room.ts';

export interface FairQueueOptions {
  /** Tokens that wait at the most. Default: 16 batches, but no fewer than 262,144. Of one call no more than a quarter of it counts. */
  readonly maxQueuedTokens?: number;
  /** Calls that wait at the most; those of one request count once. Default 512. */
  readonly maxQueuedCalls?: number;
  readonly clock?: Clock;
  /** Hears of every slice that goes to the engine. */
  readonly observeSlice?: (pairs: number, tokens: number) => void;
}

export type CallOutcome = 'answered' | 'failed' | 'cancelled' | 'expired';

/** The queue at this moment, and what became of the calls so far. */
export interface QueueStats {
  readonly waitingCalls: number;
  readonly waitingTokens: number;
  readonly waitingGroups: number;
  /** Calls that came in and have not ended. */
  readonly openCalls: number;
  readonly runningSlices: number;
  readonly runningTokens: number;
  /** While busy; undefined before anything was measured. */
  readonly tokensPerSecond: number | undefined;
  readonly refused: number;
  readonly ended: Readonly<Record<CallOutcome, number>>;
}

export interface FairQueueStats extends EngineStats {
  readonly queue: QueueStats;
}

/** Batches' worth of tokens at the engine: it runs one and encodes the next. */
const batchesInFlight = 2;
/** After a refusal requests are refused unread until this part of the room is free: what follows would be refused as well. */
const reopensAt = 15 / 16;

/**
 * A bounded queue in front of an engine. Calls are cut into slices of a batch, and take turns: a long call delays a short one by
 * no more than the slices in flight and a turn of each call that waits.
 */
export class FairQueue implements Engine {
  readonly failed?: Promise<Error>;
  readonly #inner: Engine;
  readonly #clock: Clock;
  readonly #options: FairQueueOptions;
  readonly #room: WaitingRoom;
  readonly #calls = new Set<QueuedCall>();
  /** Requests that have been let in: what has begun is not refused half way. */
  readonly #admitted = new WeakSet<object>();
  readonly #throughput = new Throughput();
  readonly #running = { slices: 0, tokens: 0 };
  readonly #ended: Record<CallOutcome, number> = { answered: 0, failed: 0, cancelled: 0, expired: 0 };
  #refused = 0;
  #shut = false;
  #closed = false;

  constructor(inner: Engine, options: FairQueueOptions = {}) {
    const { maxBatchTokens } = inner.info;
    const { maxQueuedTokens = Math.max(16 * maxBatchTokens, 2 ** 18), maxQueuedCalls = 512 } = options;
    if (inner.failed) this.failed = inner.failed;
    this.#inner = inner;
    this.#clock = options.clock ?? systemClock;
    this.#options = options;
    this.#room = new WaitingRoom({
      turnTokens: maxBatchTokens,
      maxTokens: maxQueuedTokens,
      maxCalls: maxQueuedCalls,
    });
  }

  get info(): EngineInfo {
    return this.#inner.info;
  }

  /** @throws WgrankError `overloaded` at once, `deadline-exceeded`, and whatever the engine throws */
  async score(pairs: readonly EnginePair[], signal?: AbortSignal, options: ScoreOptions = {}): Promise<Float32Array> {
    if (this.#closed) throw stopped();
    if (signal?.aborted) throw cancelled();
    if (pairs.length === 0) return new Float32Array();
    const { group, request = {}, deadlineMs = Infinity, observe } = options;
    if (deadlineMs <= 0) throw expired();
    const { kind, maxBatchTokens } = this.info;
    const slices = cutSlices(pairs, maxBatchTokens, kind !== 'cross-encoder');
    const tokens = totalTokens(slices);
    if (!this.#admitted.has(request) && !this.#room.admits(group, tokens)) {
      // A group that has its share is no reason to refuse others.
      this.#shut ||= !this.#room.admits(undefined, tokens);
      this.#refused++;
      throw this.#overloaded();
    }
    this.#admitted.add(request);
    return new Promise((resolve, reject) => {
      const arrivedAt = this.#clock.now();
      const endsAt = arrivedAt + deadlineMs;
      const call = new QueuedCall({ pairs, slices, group, request, arrivedAt, endsAt, observe, resolve, reject });
      this.#tie(call, signal);
      this.#calls.add(call);
      this.#room.add(call);
      this.#pump();
    });
  }

  /**
   * Tells before a body is read that a call would be refused.
   * @returns the error that answers it, or undefined while there is room
   */
  refusal(group?: string): OverloadedError | undefined {
    if (this.#shut && !this.#room.isFuller(reopensAt)) this.#shut = false;
    return this.#shut || !this.#room.admits(group, 1) ? this.#overloaded() : undefined;
  }

  get queue(): QueueStats {
    return {
      waitingCalls: this.#room.calls,
      waitingTokens: this.#room.tokens,
      waitingGroups: this.#room.groups,
      openCalls: this.#calls.size,
      runningSlices: this.#running.slices,
      runningTokens: this.#running.tokens,
      tokensPerSecond: this.#throughput.perSecond(this.#clock.now()),
      refused: this.#refused,
      ended: { ...this.#ended },
    };
  }

  /** The engine's own figures, with what waits here added to what waits there. */
  async stats(): Promise<FairQueueStats> {
    const stats = await this.#inner.stats();
    let queuedPairs = stats.queuedPairs;
    for (const call of this.#calls) queuedPairs += call.waitingPairs;
    return { ...stats, queuedPairs, queuedTokens: stats.queuedTokens + this.#room.tokens, queue: this.queue };
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const call of this.#calls) this.#end(call, 'failed', stopped());
    await this.#inner.close();
  }

  /** Ends the call at its deadline or when its caller gives up. */
  #tie(call: QueuedCall, signal: AbortSignal | undefined): void {
    const giveUp = () => this.#drop(call, 'cancelled', cancelled());
    const { endsAt, arrivedAt } = call.parts;
    signal?.addEventListener('abort', giveUp, { once: true });
    const cancelTimer =
      endsAt === Infinity
        ? undefined
        : this.#clock.after(endsAt - arrivedAt, () => this.#drop(call, 'expired', expired()));
    call.untie = () => {
      signal?.removeEventListener('abort', giveUp);
      cancelTimer?.();
    };
  }

  /** Hands out slices while there is room at the engine. A slice that is larger than the room goes alone. */
  #pump(): void {
    const most = batchesInFlight * this.info.maxBatchTokens;
    for (;;) {
      const tokens = this.#room.next();
      if (tokens === undefined || this.#closed) return;
      if (this.#running.slices > 0 && this.#running.tokens + tokens > most) return;
      const ticket = this.#room.take();
      const now = this.#clock.now();
      // Its timer has not come yet, but the time is over.
      if (now >= ticket.call.parts.endsAt) this.#end(ticket.call, 'expired', expired());
      else void this.#run(ticket, now);
    }
  }

  async #run({ call, slice }: Ticket, now: number): Promise<void> {
    call.startedAt ??= now;
    if (this.#running.slices === 0) this.#throughput.begin(now);
    this.#running.slices++;
    this.#running.tokens += slice.tokens;
    this.#options.observeSlice?.(slice.end - slice.first, slice.tokens);
    let done = 0;
    try {
      const { pairs } = call.parts;
      const isWhole = slice.end - slice.first === pairs.length;
      const asked = isWhole ? pairs : pairs.slice(slice.first, slice.end);
      const logits = await this.#inner.score(asked, call.controller.signal);
      done = slice.tokens;
      this.#answer(call, slice, logits);
    } catch (error) {
      this.#end(call, 'failed', error instanceof Error ? error : new Error(String(error)));
    } finally {
      this.#running.slices--;
      this.#running.tokens -= slice.tokens;
      this.#throughput.count(done, this.#clock.now());
      if (this.#running.slices === 0) this.#throughput.rest();
      this.#pump();
    }
  }

  #answer(call: QueuedCall, slice: Slice, logits: Float32Array): void {
    if (call.settled) return;
    const all = call.answer(slice, logits);
    if (all === undefined) return;
    // The event loop may have been busy when the timer was due.
    if (this.#clock.now() >= call.parts.endsAt) this.#end(call, 'expired', expired());
    else this.#end(call, 'answered', all);
  }

  #drop(call: QueuedCall, outcome: CallOutcome, reason: Error): void {
    this.#end(call, outcome, reason);
    // The slice that did not fit may have been this call's.
    this.#pump();
  }

  /** Ends a call once: nothing of it waits any more, and what runs is aborted. */
  #end(call: QueuedCall, outcome: CallOutcome, result: Float32Array | Error): void {
    if (call.settled) return;
    call.settled = true;
    this.#calls.delete(call);
    this.#room.remove(call);
    call.untie();
    this.#ended[outcome]++;
    const { arrivedAt, observe, resolve, reject } = call.parts;
    const now = this.#clock.now();
    observe?.({ queuedMs: (call.startedAt ?? now) - arrivedAt });
    if (!(result instanceof Error)) return resolve(result);
    reject(result);
    if (call.running > 0) call.controller.abort();
  }

  #overloaded(): OverloadedError {
    const { calls, tokens, occupied } = this.#room;
    const rate = this.#throughput.perSecond(this.#clock.now());
    const waitMs = rate === undefined ? undefined : ((occupied + this.#running.tokens) / rate) * 1000;
    return new OverloadedError(
      'queue',
      `the queue is full: ${calls} calls with ${tokens} tokens wait (come back later)`,
      waitMs,
    );
  }
}

function totalTokens(slices: readonly Slice[]): number {
  let sum = 0;
  for (const { tokens } of slices) sum += tokens;
  return sum;
}

const cancelled = () => new WgrankError('cancelled', 'queue', 'the caller gave up');
const expired = () => new WgrankError('deadline-exceeded', 'queue', 'the time of the request is over');
const stopped = () => new WgrankError('engine-stopped', 'queue', 'the engine is closed');
