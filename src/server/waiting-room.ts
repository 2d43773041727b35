import type { QueuedCall, Ticket } from './queued-call.ts';
import { Rotation } from './rotation.ts';

export interface WaitingLimits {
  /** Tokens of a turn. */
  readonly turnTokens: number;
  readonly maxTokens: number;
  /** Calls that wait; those of one request count once. */
  readonly maxCalls: number;
}

/**
 * No call counts for more than this part of the room, whatever its size: one that is larger than the room is not refused for ever,
 * and leaves others a place while it waits.
 */
const largestShare = 1 / 4;

/**
 * A named group may take this many times what it leaves free: alone 4/5 of the room, of two each 4/9. So there is room for whoever
 * comes later, whatever the others do.
 * source: Choudhury and Hahne, Dynamic queue length thresholds for shared-memory packet switches, 1998
 */
const groupShare = 4;

/** Calls of one request. */
type RequestLane = Rotation<Ticket, QueuedCall>;

/** Requests of one group, and what they take of the room. */
class Group extends Rotation<Ticket, RequestLane> {
  readonly requests = new Map<object, RequestLane>();
  occupied = 0;
}

/** Where calls wait: bounded, and fair between groups, then between the requests of a group, then between the calls of a request. */
export class WaitingRoom {
  readonly #limits: WaitingLimits;
  readonly #groups = new Map<string | undefined, Group>();
  readonly #turns: Rotation<Ticket, Group>;
  #calls = 0;
  #tokens = 0;
  #occupied = 0;

  constructor(limits: WaitingLimits) {
    this.#limits = limits;
    this.#turns = new Rotation(limits.turnTokens);
  }

  /** Those of one request count once. */
  get calls(): number {
    return this.#calls;
  }

  get tokens(): number {
    return this.#tokens;
  }

  /** Tokens that count against the bound: of each call no more than its share. */
  get occupied(): number {
    return this.#occupied;
  }

  /** Groups that have calls here. */
  get groups(): number {
    return this.#groups.size;
  }

  /** Whether a call may come in. An empty room takes any. */
  admits(group: string | undefined, tokens: number): boolean {
    if (this.#calls === 0) return true;
    const charge = this.#chargeOf(tokens);
    const freeCalls = this.#limits.maxCalls - this.#calls - 1;
    const freeTokens = this.#limits.maxTokens - this.#occupied - charge;
    if (freeCalls < 0 || freeTokens < 0) return false;
    if (group === undefined) return true;
    const { size = 0, occupied = 0 } = this.#groups.get(group) ?? {};
    return size + 1 <= groupShare * freeCalls && occupied + charge <= groupShare * freeTokens;
  }

  /** Whether more than this part of the room is taken. */
  isFuller(part: number): boolean {
    return this.#calls > part * this.#limits.maxCalls || this.#occupied > part * this.#limits.maxTokens;
  }

  /** @param call with at least one slice to take */
  add(call: QueuedCall): void {
    const key = call.parts.group;
    const group = this.#groups.get(key) ?? new Group(this.#limits.turnTokens);
    const known = group.requests.get(call.parts.request);
    const request: RequestLane = known ?? new Rotation(this.#limits.turnTokens);
    request.add(call);
    if (known === undefined) {
      group.requests.set(call.parts.request, request);
      group.add(request);
      this.#calls++;
    }
    if (!this.#groups.has(key)) {
      this.#groups.set(key, group);
      this.#turns.add(group);
    }
    this.#count(group, call.waitingTokens, this.#chargeOf(call.waitingTokens));
  }

  /** Whatever the call has not handed out is no longer wanted. */
  remove(call: QueuedCall): void {
    const group = this.#groups.get(call.parts.group);
    if (!group?.requests.get(call.parts.request)?.remove(call)) return;
    this.#count(group, -call.waitingTokens, -this.#chargeOf(call.waitingTokens));
    this.#leave(group, call);
  }

  /** Tokens of the slice whose turn it is; undefined when nobody waits. */
  next(): number | undefined {
    return this.#turns.next();
  }

  /** @throws TypeError when nobody waits */
  take(): Ticket {
    const ticket = this.#turns.take();
    const { call, slice } = ticket;
    const group = this.#groups.get(call.parts.group)!;
    const before = this.#chargeOf(call.waitingTokens + slice.tokens);
    this.#count(group, -slice.tokens, this.#chargeOf(call.waitingTokens) - before);
    if (call.next() === undefined) this.#leave(group, call);
    return ticket;
  }

  /** The call is none of its request's any more: what is empty goes. */
  #leave(group: Group, { parts }: QueuedCall): void {
    const request = group.requests.get(parts.request)!;
    if (request.size > 0) return;
    group.requests.delete(parts.request);
    group.remove(request);
    this.#calls--;
    if (group.requests.size > 0) return;
    this.#turns.remove(group);
    this.#groups.delete(parts.group);
  }

  #chargeOf(tokens: number): number {
    return Math.min(tokens, largestShare * this.#limits.maxTokens);
  }

  #count(group: Group, tokens: number, charge: number): void {
    this.#tokens += tokens;
    this.#occupied += charge;
    group.occupied += charge;
  }
}
