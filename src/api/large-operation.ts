import { performance } from 'node:perf_hooks';
import { setTimeout as pause } from 'node:timers/promises';
import { FairQueue } from '../core/fair-queue.ts';

/**
 * Queries whose answers may be larger than this, in bytes, run one at a time for each person. A page of 50 messages may
 * be twice as large.
 */
const largeBytes = 1024 * 1024;

/** How many large operations run at a time on a node, how many of them for one person, and how many may wait. */
const limits = { running: 1_000, runningPerPerson: 1, waitingPerPerson: 50, waiting: 5_000 };

/**
 * When an operation has kept the event loop busy for longer than `longMs`, its sender's next one first waits just as long,
 * up to `maxPauseMs`.
 */
const longMs = 50;
const maxPauseMs = 500;

/**
 * Makes one person's large operations run one after the other. A page of 100 messages of the maximum length blocks the
 * event loop for 250 ms: 40 queries for two such pages, all sent at the same time, delayed another person's message by
 * 16 s.
 */
export class LargeOperations {
  readonly #queue = new FairQueue({
    work: 'large operations',
    concurrency: limits.running,
    concurrencyPerPerson: limits.runningPerPerson,
    maxWaitingPerPerson: limits.waitingPerPerson,
    maxWaiting: limits.waiting,
  });

  /**
   * Runs an operation whose answer has at most `bytes` when it is this person's turn. Throws RateLimited when too many of
   * that person's operations are waiting.
   */
  run<Result>({ person, bytes }: { person: string; bytes: number }, work: () => Promise<Result>): Promise<Result> {
    if (bytes <= largeBytes) return work();
    return new Promise((resolve, reject) => {
      // The answer does not wait for the end of the turn: the pause leaves time to encode and send it, and to serve
      // others.
      const turn = async () => {
        const before = performance.eventLoopUtilization();
        await work().then(resolve, reject);
        const busyMs = performance.eventLoopUtilization(before).active;
        if (busyMs > longMs) await pause(Math.min(busyMs, maxPauseMs));
      };
      this.#queue.run({ person }, turn).catch(reject);
    });
  }
}
