import type { Lease, LeaseTimes, Leases } from './lease.ts';

/**
 * In ms. `poll` is the maximum time until the loop notices work that no ring has announced, or a lease whose holder has
 * died. `maxBackoff` is the longest pause after failures.
 */
export type LoopTimes = { poll: number; maxBackoff: number; lease?: LeaseTimes };

const defaultTimes = { poll: 1_000, maxBackoff: 30_000 };

/** What the loop does, under which lease, and how often it polls. */
export type LeasedLoopOptions = {
  leases: Leases;
  /** The name of the lease. */
  name: string;
  times?: Partial<LoopTimes> | undefined;
  /**
   * Does the next piece of work. Returns whether there may be more to do now, or how long to rest before the next step,
   * in ms. A ring does not end a rest, but `close` and the loss of the lease do.
   */
  step: (lease: Lease) => Promise<boolean | { restMs: number }>;
  /** Called when a step, or an attempt to take the lease, has failed for the `failures`-th time in a row. */
  onFailure: (error: unknown, failures: number) => void;
};

/**
 * Repeats a step, on only one node at a time. Each node opens the same loop, and a lease decides which of the loops
 * runs. `ring` wakes the loop, and a slow poll finds work that no ring has announced. After a failure, the lease
 * is released, and the pause before the next attempt grows. Another node may take the lease in the meantime.
 */
export class LeasedLoop {
  readonly #options: LeasedLoopOptions;
  readonly #times: typeof defaultTimes;
  #isRung = false;
  #isClosed = false;
  #wake: (() => void) | null = null;
  #failures = 0;
  #done: Promise<void> = Promise.resolve();

  constructor(options: LeasedLoopOptions) {
    this.#options = options;
    this.#times = { ...defaultTimes, ...options.times };
  }

  open(): void {
    this.#done = this.#run();
  }

  /** Call this when there may be something to do. */
  ring(): void {
    this.#isRung = true;
    this.#wake?.();
  }

  /** Finishes the step in progress, then releases the lease, so that another node can take over at once. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#wake?.();
    await this.#done;
  }

  async #run(): Promise<void> {
    const { name, leases, times, onFailure } = this.#options;
    while (!this.#isClosed) {
      try {
        const lease = await leases.take({ name, ...(times?.lease && { times: times.lease }) });
        if (lease === null) await this.#sleep(this.#times.poll, { isDeaf: true });
        else await this.#hold(lease);
      } catch (error) {
        this.#failures += 1;
        onFailure(error, this.#failures);
        const backoffMs = Math.min(this.#times.maxBackoff, 50 * 2 ** this.#failures);
        await this.#sleep(backoffMs * (0.5 + Math.random() / 2), { isDeaf: true });
      }
    }
  }

  async #hold(lease: Lease): Promise<void> {
    const wake = () => this.#wake?.();
    lease.signal.addEventListener('abort', wake, { once: true });
    try {
      while (!this.#isClosed && !lease.signal.aborted) {
        this.#isRung = false;
        const next = await this.#options.step(lease);
        this.#failures = 0;
        const { signal } = lease;
        if (next === false) await this.#sleep(this.#times.poll, { isDeaf: false, signal });
        else if (next !== true) await this.#sleep(next.restMs, { isDeaf: true, signal });
      }
    } finally {
      await lease.release();
    }
  }

  /** Sleeps for at most `ms`, or until `ring` is called. A deaf sleep ignores the ring. */
  #sleep(ms: number, { isDeaf, signal }: { isDeaf: boolean; signal?: AbortSignal }): Promise<void> {
    const isOver = () => this.#isClosed || (!isDeaf && this.#isRung) || signal?.aborted === true;
    if (isOver()) return Promise.resolve();
    return new Promise((resolve) => {
      const end = () => {
        clearTimeout(timeout);
        this.#wake = null;
        resolve();
      };
      const timeout = setTimeout(end, ms);
      this.#wake = () => {
        if (isOver()) end();
      };
    });
  }
}
