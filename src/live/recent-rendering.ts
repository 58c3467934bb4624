import { LRUCache } from 'lru-cache';
import type { RenderedEvent } from './event-renderer.ts';

/** How many renderings of a document are kept, for how long, and how many characters they may have in total. */
const kept = { count: 500, ms: 2_000, characters: 512 * 1024 };

type Outcome = Promise<RenderedEvent | null>;

/**
 * The latest renderings of one document. Replays of the same event within a short time share one rendering: after a
 * restart, for example, every stream replays.
 */
export class RecentRenderings {
  /** The renderings that are not finished, whose size is therefore unknown. */
  readonly #begun = new Map<bigint, Outcome>();
  readonly #done = new LRUCache<bigint, { outcome: Outcome; characters: number }>({
    max: kept.count,
    maxSize: kept.characters,
    sizeCalculation: ({ characters }) => 1 + characters,
    ttl: kept.ms,
  });
  #isSweepDue = false;

  /** The total length of the stored renderings, in characters. */
  get size(): number {
    return this.#done.calculatedSize;
  }

  get(eventId: bigint): Outcome | undefined {
    return this.#begun.get(eventId) ?? this.#done.get(eventId)?.outcome;
  }

  /** Keeps a rendering, from when it begins; drops it when it turns out to be too large. */
  add(eventId: bigint, outcome: Outcome): void {
    this.#begun.set(eventId, outcome);
    void outcome.then((rendered) => {
      if (this.#begun.get(eventId) !== outcome) return;
      this.#begun.delete(eventId);
      this.#done.set(eventId, { outcome, characters: rendered?.payload.length ?? 0 });
      this.#sweepLater();
    });
  }

  /** Call this when earlier renderings must not be shown again. */
  clear(): void {
    this.#begun.clear();
    this.#done.clear();
  }

  /**
   * Without it, a document without new events would keep its last renderings forever. One timer for all costs less than
   * one for each rendering.
   */
  #sweepLater(): void {
    if (this.#isSweepDue) return;
    this.#isSweepDue = true;
    setTimeout(() => {
      this.#isSweepDue = false;
      this.#done.purgeStale();
      if (this.#done.size > 0) this.#sweepLater();
    }, kept.ms).unref();
  }
}
