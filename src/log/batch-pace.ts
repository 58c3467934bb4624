import { performance } from 'node:perf_hooks';

/** A node counts as busy if its event loop runs code for more than this share of the time. */
const busyUtilization = 0.5;

/** How long to rest after a batch, as multiples of the time that the batch took. */
export type RestFactors = {
  usual: number;
  /** Applies while the node is busy, because its users come first. */
  busy: number;
  /** The maximum time, in ms, for which `busy` applies; after that, `usual` applies. */
  maxBusyMs: number;
};

/**
 * Decides how long background work rests between its batches while it has more to do, so that it slows down nothing
 * else.
 */
export class BatchPace {
  readonly #factors: RestFactors;
  /** When the work last fell behind, in ms of `performance.now()`; null while it keeps up. */
  #behindSince: number | null = null;
  #use = performance.eventLoopUtilization();

  constructor(factors: RestFactors) {
    this.#factors = factors;
  }

  /** Call this when nothing is left to do. */
  keepUp(): void {
    this.#behindSince = null;
    this.#use = performance.eventLoopUtilization();
  }

  /** Returns how long to rest, in ms, after a batch that took `tookMs`; call this once for each batch. */
  restMs(tookMs: number): number {
    const now = performance.now();
    this.#behindSince ??= now;
    const { usual, busy, maxBusyMs } = this.#factors;
    const use = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(use, this.#use);
    this.#use = use;
    const leftMs = maxBusyMs - (now - this.#behindSince);
    const busyMs = utilization > busyUtilization ? Math.min(tookMs * busy, leftMs) : 0;
    return Math.max(tookMs * usual, busyMs);
  }
}
