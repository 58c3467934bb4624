import { performance } from 'node:perf_hooks';
import { setTimeout as pause } from 'node:timers/promises';
import { FairQueue } from '../core/fair-queue.ts';
import { RateLimited } from '../errors.ts';

/**
 * Each person's operations whose answers may exceed this size in bytes are rendered one at a time. A page of 50
 * messages can be twice this size.
 */
const largeBytes = 1024 * 1024;

/** How many large operations a node renders at the same time, in total and per person. */
const maxTurns = { concurrency: 1_000, concurrencyPerPerson: 1 };

/** The maximum number of unfinished large operations on a node, per person and in total. */
const maxUnended = { perPerson: 50, total: 5_000 };

/**
 * After a turn that kept the event loop busy for longer than `longMs`, the person's next turn is delayed by the
 * duration of that turn, up to `maxPauseMs`.
 */
const longMs = 50;
const maxPauseMs = 500;

/**
 * The turns in which an operation renders. The operation takes a turn when it has something to render, and ends the
 * turn before it makes its next change.
 */
export type RenderTurns = {
  /** Resolves when this operation's turn begins. */
  take: () => Promise<void>;
  /** Ends the current turn, if there is one. */
  end: () => void;
};

/** For operations that need not wait for a turn. */
const noTurns: RenderTurns = { take: async () => {}, end: () => {} };

/**
 * Makes one person's large operations render one after another. A page of 100 messages of the maximum length blocks the
 * event loop for 250 ms. Without this queue, 40 queries for two such pages, all sent at the same time, delayed another
 * person's message by 16 s.
 */
export class LargeOperations {
  /** The number of unfinished operations of each person. */
  readonly #unended = new Map<string, number>();
  #unendedCount = 0;
  readonly #queue = new FairQueue({
    work: 'large operations',
    ...maxTurns,
    maxWaitingPerPerson: maxUnended.perPerson,
    maxWaiting: maxUnended.total,
  });

  /**
   * Runs an operation whose answer has at most `bytes` bytes. `work` takes a turn whenever it renders, but must not
   * hold a turn while it waits for a lock or for an upload, because an operation that is blocked must not block the
   * person's other operations. Throws RateLimited, before it runs anything, if that person or the whole node has too
   * many unfinished large operations.
   */
  async run<Result>(
    { person, bytes }: { person: string; bytes: number },
    work: (turns: RenderTurns) => Promise<Result>,
  ): Promise<Result> {
    if (bytes <= largeBytes) return work(noTurns);
    this.#admit(person);
    const turns = this.#turnsOf(person);
    try {
      return await work(turns);
    } finally {
      turns.end();
      this.#leave(person);
    }
  }

  #admit(person: string): void {
    const ofPerson = this.#unended.get(person) ?? 0;
    if (ofPerson >= maxUnended.perPerson) {
      throw new RateLimited(
        `Too many of your large operations are in progress: at most ${maxUnended.perPerson} are allowed.`,
        1,
      );
    }
    if (this.#unendedCount >= maxUnended.total) {
      throw new RateLimited(
        `Too many large operations are in progress on this server: at most ${maxUnended.total} are allowed.`,
        1,
      );
    }
    this.#unended.set(person, ofPerson + 1);
    this.#unendedCount += 1;
  }

  #leave(person: string): void {
    this.#unendedCount -= 1;
    const others = (this.#unended.get(person) ?? 0) - 1;
    if (others > 0) this.#unended.set(person, others);
    else this.#unended.delete(person);
  }

  #turnsOf(person: string): RenderTurns {
    let end = () => {};
    const take = () =>
      new Promise<void>((resolve, reject) => {
        const turn = async () => {
          const ended = Promise.withResolvers<void>();
          end = ended.resolve;
          const before = performance.eventLoopUtilization();
          resolve();
          await ended.promise;
          const busyMs = performance.eventLoopUtilization(before).active;
          // The answer does not wait for this pause, which leaves time to encode and send the answer and to serve other
          // people.
          if (busyMs > longMs) await pause(Math.min(busyMs, maxPauseMs));
        };
        this.#queue.run({ person }, turn).catch(reject);
      });
    return { take, end: () => end() };
  }
}
