import { noMetrics, type Metrics } from './metric.ts';
import type { Report } from './report.ts';

const batchSize = 1_000;
const intervalMs = 60_000;

/** A cleanup task that works in batches: `clear` removes up to `limit` items and returns how many it removed. */
export type Chore = { name: string; clear: (limit: number) => Promise<number> };

/**
 * Runs its tasks about once a minute, or immediately after a call to `hurry`. Each task runs in batches until it has
 * nothing left to remove.
 */
export class Housekeeping {
  readonly #chores: Chore[];
  readonly #report: Report;
  readonly #metrics: Metrics;
  /** The time when the last round ended, in seconds of Unix time, or null before the first round. */
  #lastRoundAt: number | null = null;
  #timer: NodeJS.Timeout | null = null;
  #isClosed = false;
  #isHurried = false;
  #work: Promise<void> = Promise.resolve();

  constructor(options: { chores: Chore[]; report: Report; metrics?: Metrics }) {
    this.#chores = options.chores;
    this.#report = options.report;
    this.#metrics = options.metrics ?? noMetrics;
    this.#metrics.watch('housekeepingRound', () => this.#lastRoundAt);
  }

  /**
   * Runs the first round after 30 to 90 seconds, so that nodes that start together don't all run their tasks at the
   * same time.
   */
  open(): void {
    this.#begin(someTime());
  }

  /** Runs the tasks now, or again right after the current round. */
  hurry(): void {
    this.#isHurried = true;
    if (this.#timer !== null && !this.#isClosed) this.#begin(0);
  }

  #begin(inMs: number): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#isHurried = false;
      this.#work = this.#round().finally(() => {
        if (!this.#isClosed) this.#begin(this.#isHurried ? 0 : someTime());
      });
    }, inMs).unref();
  }

  /** Resolves when the batch in progress is done. */
  async close(): Promise<void> {
    this.#isClosed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    await this.#work;
  }

  async #round(): Promise<void> {
    for (const { name, clear } of this.#chores) {
      try {
        let count = batchSize;
        while (!this.#isClosed && count === batchSize) {
          count = await clear(batchSize);
          this.#metrics.count('housekeepingRemoved', { chore: name }, count);
        }
      } catch (error) {
        this.#metrics.count('housekeepingFailures', { chore: name });
        this.#report('warn', 'a housekeeping task failed; it will be retried', { chore: name, error });
      }
    }
    this.#lastRoundAt = Date.now() / 1000;
  }
}

function someTime(): number {
  return intervalMs * (0.5 + Math.random());
}
