import { FifoCache, type CacheBudget } from '../core/fifo-cache.ts';
import { isPromise, type Soon } from '../core/soon.ts';
import type { RenderedEvent } from './event-renderer.ts';

/** How long the renderings of a document are kept, and how much they may weigh, in characters and what an entry costs. */
const kept = { max: 4 * 1024 * 1024, least: 512 * 1024, ttlMs: 2_000 };
const entryWeight = 400;

/** V8 hashes a bigint many times slower than a number. */
type MapKey = number | bigint;

function toMapKey(id: bigint): MapKey {
  return id <= Number.MAX_SAFE_INTEGER ? Number(id) : id;
}

/** What all documents of this process may keep together. */
const budget: CacheBudget = { used: 0, max: 32 * 1024 * 1024 };

/**
 * The latest renderings of one document. Replays of the same event within a short time share one rendering: after a
 * restart, for example, every stream replays.
 */
export class RecentRenderings {
  /** The renderings that are not finished, whose size is therefore unknown. */
  readonly #begun = new Map<MapKey, Promise<RenderedEvent | null>>();
  readonly #done = new FifoCache<MapKey, RenderedEvent | null>({ ...kept, budget });

  /** What the stored renderings weigh. */
  get weight(): number {
    return this.#done.weight;
  }

  /** The rendering, null if there is nothing to show, or undefined if it is not kept. */
  get(eventId: bigint): Soon<RenderedEvent | null> | undefined {
    const key = toMapKey(eventId);
    return this.#begun.get(key) ?? this.#done.get(key);
  }

  /** Keeps a rendering from the moment it begins; drops it if it turns out to be too large. */
  add(eventId: bigint, outcome: Soon<RenderedEvent | null>): void {
    const key = toMapKey(eventId);
    if (!isPromise(outcome)) return this.#keep(key, outcome);
    this.#begun.set(key, outcome);
    void outcome.then((rendered) => {
      if (this.#begun.get(key) !== outcome) return;
      this.#begun.delete(key);
      this.#keep(key, rendered);
    });
  }

  /** Call this when earlier renderings must not be shown again. */
  clear(): void {
    this.#begun.clear();
    this.#done.clear();
  }

  #keep(key: MapKey, rendered: RenderedEvent | null): void {
    this.#done.set(key, rendered, entryWeight + (rendered?.payload.length ?? 0));
  }
}
