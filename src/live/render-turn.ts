import { performance } from 'node:perf_hooks';
import { setImmediate as afterIo } from 'node:timers/promises';
import { FairQueue } from '../core/fair-queue.ts';
import type { EventCost } from './event-renderer.ts';

/** How many slices a node renders at a time, at most one per user; most of them are waiting for the database. */
const concurrency = 8;
/**
 * The maximum total cost of the executions in one turn, which is about the cost of one event for the largest document.
 */
export const sliceLimits: EventCost = { complexity: 10_000, bytes: 8 * 1024 * 1024 };
/**
 * How long the processor may be idle during a turn, in ms. After that time, the turn ends even if its work is not done.
 */
const maxIdleMs = 20;
/** The maximum length of a turn, in ms. */
const maxTurnMs = 1_000;
/** How often both of these limits are checked, in ms. */
const checkMs = 10;

/** Returns how many executions of a document with this cost make up a slice, which is at most `most`. */
export function sliceSize({ complexity, bytes }: EventCost, most: number): number {
  const fitting = Math.min(sliceLimits.complexity / complexity, sliceLimits.bytes / bytes);
  return Math.max(1, Math.min(most, Math.floor(fitting)));
}

/** Cuts a list into parts of the given size. */
export function* cut<Value>(list: readonly Value[], size: number): Iterable<Value[]> {
  for (let from = 0; from < list.length; from += size) yield list.slice(from, from + size);
}

/**
 * Divides processor time fairly among the users whose subscriptions are rendered. Each turn renders one slice, that is,
 * some of the events that are waiting to be rendered for one document. No matter how many documents a user subscribes
 * to or how many events the user receives, another user's document waits only until a running slice ends.
 */
export class RenderTurns {
  readonly #queue = new FairQueue({
    work: 'subscriptions',
    concurrency,
    concurrencyPerPerson: 1,
    // Each subscription has only one turn waiting at a time.
    maxWaitingPerPerson: Infinity,
    maxWaiting: Infinity,
  });

  /**
   * Runs `work` in a turn that is charged to the one of these users who has used the least time, so that a document
   * waits only if all its subscribers have used more time than others. Starts immediately if fewer than `concurrency`
   * turns are running and none of them belongs to that user. Between turns, the event loop handles requests.
   */
  async run<Result>(userIds: Iterable<bigint>, work: () => Promise<Result>): Promise<Result> {
    const { promise, resolve } = Promise.withResolvers<Result>();
    // The caller gets the same promise, with its error, but only after the turn, and until then, Node would report the
    // error as unhandled.
    promise.catch(() => undefined);
    const person = this.#queue.mostToSpare(asKeys(userIds));
    await this.#queue.run({ person }, async () => {
      const working = work();
      resolve(working);
      await untilDoneOrIdle(working);
      await afterIo();
    });
    return promise;
  }
}

function* asKeys(userIds: Iterable<bigint>): Iterable<string> {
  for (const userId of userIds) yield String(userId);
}

/**
 * Resolves when the work is either done or only waiting, because a document that waits for a lock in the database must
 * not delay the turns of others. While the processor is busy, the turn continues; otherwise more and more work would
 * run at the same time under load.
 */
async function untilDoneOrIdle(working: Promise<unknown>): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const startedAt = performance.now();
  const { idle } = performance.eventLoopUtilization();
  const checking = setInterval(() => {
    const idleMs = performance.eventLoopUtilization().idle - idle;
    if (idleMs >= maxIdleMs || performance.now() - startedAt >= maxTurnMs) resolve();
  }, checkMs);
  working.then(
    () => resolve(),
    () => resolve(),
  );
  await promise;
  clearInterval(checking);
}
