import { LRUCache } from 'lru-cache';
import type { RenderedEvent } from './event-renderer.ts';

/** How many renderings of a document are kept, for how long, and how many characters they may have together. */
const kept = { count: 500, ms: 2_000, characters: 512 * 1024 };

type Outcome = Promise<RenderedEvent | null>;

/**
 * The latest renderings of one document: replays of the same event shortly after each other share one, as every stream does
 * after a restart.
 */
export class RecentRenderings {
  readonly #outcomes = new LRUCache<bigint, { outcome: Outcome }>({
    max: kept.count,
    maxSize: kept.characters,
    ttl: kept.ms,
    // Otherwise a document without new events would keep its last ones for good.
    ttlAutopurge: true,
  });

  /** How many characters are kept. */
  get size(): number {
    return this.#outcomes.calculatedSize;
  }

  get(eventId: bigint): Outcome | undefined {
    return this.#outcomes.get(eventId)?.outcome;
  }

  /** Keeps a rendering, from when it begins; drops it when it turns out to be too large. */
  add(eventId: bigint, outcome: Outcome): void {
    this.#outcomes.set(eventId, { outcome }, { size: 1 });
    void outcome.then((rendered) => {
      if (this.get(eventId) !== outcome) return;
      // The cache counts a size again only for another value.
      this.#outcomes.set(eventId, { outcome }, { size: 1 + (rendered?.payload.length ?? 0) });
    });
  }

  /** Call this when earlier renderings must not be shown again. */
  clear(): void {
    this.#outcomes.clear();
  }
}
