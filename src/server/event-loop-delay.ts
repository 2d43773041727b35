import { monitorEventLoopDelay, type IntervalHistogram } from 'node:perf_hooks';
import { Gauge, type Registry } from 'prom-client';

const resolutionMs = 10;
const nsPerSecond = 1e9;
/** Prometheus' label, and the percentile. */
const quantiles = [
  ['0.5', 50],
  ['0.99', 99],
  ['0.999', 99.9],
] as const;

/**
 * How long the event loop keeps what is due waiting. Node measures from one timer to the next one, so that an idle loop shows the
 * timer's own interval: it is taken off. Each scrape shows the time since the one before it.
 */
export class EventLoopDelay {
  readonly #histogram: IntervalHistogram = monitorEventLoopDelay({ resolution: resolutionMs });

  constructor() {
    this.#histogram.enable();
  }

  register(registers: Registry[]): void {
    const read = () => this.#read();
    // Registered by being made.
    void new Gauge({
      name: 'wgrank_event_loop_delay_seconds',
      help: 'Delay of the event loop since the last scrape',
      labelNames: ['quantile'],
      registers,
      collect() {
        for (const [quantile, seconds] of read()) this.set({ quantile }, seconds);
      },
    });
  }

  close(): void {
    this.#histogram.disable();
  }

  #read(): [string, number][] {
    const idle = this.#histogram.count === 0;
    const read = quantiles.map(([label, percent]): [string, number] => [
      label,
      idle ? 0 : delay(this.#histogram.percentile(percent)),
    ]);
    read.push(['1', idle ? 0 : delay(this.#histogram.max)]);
    this.#histogram.reset();
    return read;
  }
}

const delay = (ns: number) => Math.max(0, ns / nsPerSecond - resolutionMs / 1000);
