import { FifoCache, type CacheBudget } from '../core/fifo-cache.ts';
import { idKey, type IdKey } from '../core/id-key.ts';
import { isPromise, type Soon } from '../core/soon.ts';
import type { RenderedEvent } from './event-renderer.ts';
import type { Outdated } from './outdated.ts';

/**
 * How long the renderings of a document are cached, and their maximum total weight. The weight is the number of
 * characters, plus `entryWeight` for each rendering.
 */
const kept = { max: 4 * 1024 * 1024, least: 512 * 1024, ttlMs: 2_000 };
const entryWeight = 400;

/**
 * The rendering of an event; the outcome is null if there is nothing to show. `chatId`: the chat of the event.
 * `edition`: see Outdated.
 */
export type Recent = { outcome: Soon<RenderedEvent | null>; chatId: bigint | null; edition: number };

/** The maximum total weight of the caches of all documents in this process. */
const budget: CacheBudget = { used: 0, max: 32 * 1024 * 1024 };

/**
 * A cache of the latest renderings of one document. Several replays of an event within a short time share one
 * rendering. This helps after a restart, for example, when every stream replays.
 */
export class RecentRenderings {
  readonly #outdated: Outdated;
  /** The renderings that are still in progress and therefore of unknown size. */
  readonly #begun = new Map<IdKey, Recent>();
  readonly #done = new FifoCache<IdKey, Recent>({ ...kept, budget });

  constructor(outdated: Outdated) {
    this.#outdated = outdated;
  }

  /** The total weight of the stored renderings. */
  get weight(): number {
    return this.#done.weight;
  }

  /** Returns the latest rendering of an event, or undefined if it is not cached or is outdated. */
  get(eventId: bigint): Recent | undefined {
    const key = idKey(eventId);
    const known = this.#begun.get(key) ?? this.#done.get(key);
    return known !== undefined && this.#outdated.isCurrent(known.edition, known.chatId) ? known : undefined;
  }

  /**
   * Stores a rendering as soon as it begins, and drops the rendering if it turns out to be too large. A rendering that
   * no other reader will want (`isShared` is false) is dropped as soon as it is finished.
   */
  add(eventId: bigint, recent: Recent, isShared = true): void {
    const key = idKey(eventId);
    const { outcome } = recent;
    if (!isPromise(outcome)) {
      if (isShared) this.#keep(key, recent, outcome);
      return;
    }
    this.#begun.set(key, recent);
    void outcome.then((rendered) => {
      if (this.#begun.get(key) !== recent) return;
      this.#begun.delete(key);
      if (isShared) this.#keep(key, { ...recent, outcome: rendered }, rendered);
    });
  }

  /** Drops everything. */
  clear(): void {
    this.#begun.clear();
    this.#done.clear();
  }

  #keep(key: IdKey, recent: Recent, rendered: RenderedEvent | null): void {
    this.#done.set(key, recent, entryWeight + (rendered?.payload.length ?? 0));
  }
}
