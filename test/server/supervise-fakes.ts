import { afterEach, expect } from 'vitest';
import { SupervisedEngine, type SupervisedState, type SupervisionOptions } from '../../src/server/supervised-engine.ts';
import { fakeLogit } from '../support/fake-engine.ts';
import { FakeProcess, type FakeProcessOptions } from './fake-engine-process.ts';

export const withCode = (code: string) => expect.objectContaining({ name: 'WgrankError', code });
export const logitOf = (...ids: number[]) => fakeLogit(Int32Array.from(ids));
export const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

export interface Setup extends Partial<SupervisionOptions> {
  /** What the n-th process is like, from 0; an error fails its start. */
  processes?(n: number): FakeProcessOptions | Error;
}

const engines: SupervisedEngine[] = [];
afterEach(async () => {
  await Promise.all(engines.splice(0).map((engine) => engine.close()));
});

/** A supervised engine over fake processes, closed after the test. */
export async function start({ processes = () => ({}), ...options }: Setup = {}) {
  const started: FakeProcess[] = [];
  const states: SupervisedState[] = [];
  const lines: string[] = [];
  let starts = 0;
  const engine = await SupervisedEngine.start({
    spawn: async () => {
      const made = processes(starts++);
      if (made instanceof Error) throw made;
      const child = new FakeProcess(made);
      started.push(child);
      return child;
    },
    limits: { firstDelayMs: 10, maxDelayMs: 80 },
    onStateChange: (state) => states.push(state),
    log: (line) => lines.push(line),
    ...options,
  });
  engines.push(engine);
  return { engine, started, states, lines, starts: () => starts };
}
