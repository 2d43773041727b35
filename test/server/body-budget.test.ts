import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { BodyBudget, type HeldBody } from '../../src/server/body-budget.ts';

/** A sender that stops when it is told to. */
class Sender {
  paused = false;
  readonly body: HeldBody;
  left: number;

  constructor(budget: BodyBudget, bytes: number) {
    this.left = bytes;
    this.body = budget.open(this);
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
  }
}

test('over the limit senders wait for an answer, and go on when it is out', () => {
  const budget = new BodyBudget(100);
  const [first, second, third] = [60, 60, 10].map((bytes) => new Sender(budget, bytes));
  budget.hold(first!.body, 60);
  budget.finish(first!.body);
  budget.hold(second!.body, 41);
  budget.hold(third!.body, 1);
  expect([first!.paused, second!.paused, third!.paused]).toEqual([false, true, true]);
  budget.release(first!.body);
  expect([second!.paused, third!.paused]).toEqual([false, false]);
  expect(budget.bytes).toBe(42);
});

test('when no answer is to come, one sender goes on', () => {
  const budget = new BodyBudget(100);
  const senders = [90, 90, 90].map((bytes) => new Sender(budget, bytes));
  for (const { body } of senders) budget.hold(body, 45);
  // The last one came over the limit, and is the one that goes on.
  for (const { body } of senders) budget.hold(body, 5);
  expect(senders.map(({ paused }) => paused)).toEqual([true, true, false]);
  budget.hold(senders[2]!.body, 40);
  budget.finish(senders[2]!.body);
  expect(senders.map(({ paused }) => paused)).toEqual([true, true, false]);
  budget.release(senders[2]!.body);
  expect(senders.map(({ paused }) => paused)).toEqual([false, false, false]);
});

test('a sender that goes away lets another one on', () => {
  const budget = new BodyBudget(10);
  const [first, second] = [100, 100].map((bytes) => new Sender(budget, bytes));
  budget.hold(first!.body, 20);
  budget.hold(second!.body, 20);
  expect([first!.paused, second!.paused]).toEqual([false, true]);
  budget.release(first!.body);
  expect([second!.paused, budget.bytes, budget.unfinished]).toEqual([false, 20, 1]);
});

test('an announced size is only compared; alone it always fits', () => {
  const budget = new BodyBudget(100);
  expect(budget.fits(1000)).toBe(true);
  const body = budget.open({ pause: () => undefined, resume: () => undefined });
  budget.hold(body, 1);
  expect([budget.fits(99), budget.fits(100)]).toEqual([true, false]);
});

test('any order: memory is bounded, everybody gets done, nothing is left', () => {
  const maxBytes = 100;
  const largest = 80;
  const chunk = 10;
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 0, max: largest }), { minLength: 1, maxLength: 20 }),
      fc.infiniteStream(fc.nat(1000)),
      (sizes, choices) => {
        const budget = new BodyBudget(maxBytes);
        const choose = () => choices.next().value as number;
        const senders = sizes.map((bytes) => new Sender(budget, bytes));
        const working: Sender[] = [];
        for (let open = [...senders]; open.length + working.length > 0;) {
          const ready = open.filter(({ paused }) => !paused);
          // Somebody can always go on: an answer comes out, or bytes come in.
          expect(ready.length + working.length).toBeGreaterThan(0);
          if (working.length > 0 && (ready.length === 0 || choose() % 4 === 0)) {
            budget.release(working.splice(choose() % working.length, 1)[0]!.body);
            continue;
          }
          const sender = ready[choose() % ready.length]!;
          const bytes = Math.min(sender.left, 1 + (choose() % chunk));
          if (bytes > 0) budget.hold(sender.body, bytes);
          sender.left -= bytes;
          // Each of the others may have had one chunk on its way when it was told to wait.
          expect(budget.bytes).toBeLessThanOrEqual(maxBytes + largest + sizes.length * chunk);
          if (sender.left > 0) continue;
          open = open.filter((one) => one !== sender);
          if (choose() % 5 === 0) budget.release(sender.body);
          else {
            budget.finish(sender.body);
            working.push(sender);
          }
        }
        expect([budget.bytes, budget.unfinished]).toEqual([0, 0]);
      },
    ),
    { numRuns: 500 },
  );
});
