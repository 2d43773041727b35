import { setTimeout as sleep } from 'node:timers/promises';

/** How often a load balancer would have to ask to know within a second. */
const pauseMs = 10;

export interface ReadinessWatch {
  /** @returns when an answer of this status came to a question that was asked after `since`; both on performance.now() */
  next(status: number, since: number): Promise<number>;
  /** Statuses of what was asked after `since` and is answered; 0: no connection. */
  statuses(since?: number): number[];
  /** @returns the statuses of `/health` all the time, 0 for no connection */
  end(): Promise<number[]>;
}

/** Asks `/ready` and `/health` again and again, one question at a time. */
export function watchReadiness(url: string): ReadinessWatch {
  const answers: { readonly askedAt: number; readonly at: number; readonly status: number }[] = [];
  const health: number[] = [];
  const run = { going: true };
  const ask = async (path: string) => {
    const response = await fetch(`${url}${path}`).catch(() => undefined);
    await response?.arrayBuffer().catch(() => undefined);
    return response?.status ?? 0;
  };
  const watching = (async () => {
    while (run.going) {
      const askedAt = performance.now();
      const status = await ask('/ready');
      answers.push({ askedAt, at: performance.now(), status });
      health.push(await ask('/health'));
      await sleep(pauseMs);
    }
  })();
  return {
    next: async (status, since) => {
      const givesUpAt = performance.now() + 30_000;
      for (;;) {
        const found = answers.find((answer) => answer.askedAt >= since && answer.status === status);
        if (found) return found.at;
        if (performance.now() > givesUpAt) throw new Error(`/ready did not say ${status} within 30 s`);
        await sleep(1);
      }
    },
    statuses: (since = 0) => answers.filter(({ askedAt }) => askedAt >= since).map(({ status }) => status),
    end: async () => {
      run.going = false;
      await watching;
      return health;
    },
  };
}
