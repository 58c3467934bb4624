import type { Report } from './report.ts';

const batchSize = 1_000;
const intervalMs = 60_000;

/** Something that is cleared away in batches: takes up to `limit` and says how many it took. */
export type Chore = { name: string; clear: (limit: number) => Promise<number> };

/** Does its chores about once a minute, or when it is told to hurry, each a batch at a time until there is nothing left to clear. */
export class Housekeeping {
  readonly #chores: Chore[];
  readonly #report: Report;
  #timer: NodeJS.Timeout | null = null;
  #isClosed = false;
  #isHurried = false;
  #work: Promise<void> = Promise.resolve();

  constructor(options: { chores: Chore[]; report: Report }) {
    this.#chores = options.chores;
    this.#report = options.report;
  }

  /** Begins in half a minute to one and a half, so that nodes that start together don't work together. */
  open(): void {
    this.#begin(someTime());
  }

  /** There is something to do now: it is begun at once, or right after what is being done. */
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

  /** Resolves when the batch that is under way is done. */
  async close(): Promise<void> {
    this.#isClosed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    await this.#work;
  }

  async #round(): Promise<void> {
    for (const { name, clear } of this.#chores) {
      try {
        let count = batchSize;
        while (!this.#isClosed && count === batchSize) count = await clear(batchSize);
      } catch (error) {
        this.#report('warn', 'a housekeeping task failed; it will be retried', { chore: name, error });
      }
    }
  }
}

function someTime(): number {
  return intervalMs * (0.5 + Math.random());
}
