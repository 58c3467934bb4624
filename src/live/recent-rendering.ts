import { LRUCache } from 'lru-cache';
import { isPromise, type Soon } from '../core/soon.ts';
import type { Rendering } from './delivery.ts';
import type { RenderedEvent } from './event-renderer.ts';

/**
 * How many renderings of a document are kept, for how long, and how many characters they may have in total. After a
 * restart, all clients replay the same thousands of events, from different positions.
 */
const kept = { count: 10_000, ms: 2_000, characters: 4 * 1024 * 1024 };
/** All documents together may keep `total` characters; beyond that, each may still keep `least`. */
const shared = { total: 32 * 1024 * 1024, least: 512 * 1024 };

/** A rendered event, and its rendering for those who may receive it. */
export type Shown = RenderedEvent & { rendering?: Rendering };

type Outcome = Soon<Shown | null>;
type Done = { shown: Shown | null; characters: number };

/** How many characters all documents of this process keep. */
let total = 0;

/**
 * The latest renderings of one document. Replays of the same event within a short time share one rendering: after a
 * restart, for example, every stream replays.
 */
export class RecentRenderings {
  /** The renderings that are not finished, whose size is therefore unknown. */
  readonly #begun = new Map<bigint, Promise<Shown | null>>();
  readonly #done = new LRUCache<bigint, Done>({
    // Without `max`, which would allocate arrays of that length in advance.
    maxSize: kept.characters,
    sizeCalculation: ({ characters }) => Math.ceil(kept.characters / kept.count) + characters,
    ttl: kept.ms,
    onInsert: ({ characters }) => void (total += characters),
    dispose: ({ characters }) => void (total -= characters),
  });
  #isSweepDue = false;

  /** The total length of the stored renderings, in characters. */
  get size(): number {
    return this.#done.calculatedSize;
  }

  get(eventId: bigint): Outcome | undefined {
    return this.#begun.get(eventId) ?? this.#done.get(eventId)?.shown;
  }

  /** The rendering, if it is done: null if there is nothing to show, undefined if it is not kept. */
  peek(eventId: bigint): Shown | null | undefined {
    return this.#done.get(eventId)?.shown;
  }

  /** Keeps a rendering from the moment it begins; drops it if it turns out to be too large. */
  add(eventId: bigint, outcome: Outcome): void {
    if (!isPromise(outcome)) return this.#keep(eventId, outcome);
    this.#begun.set(eventId, outcome);
    void outcome.then((rendered) => {
      if (this.#begun.get(eventId) !== outcome) return;
      this.#begun.delete(eventId);
      this.#keep(eventId, rendered);
    });
  }

  #keep(eventId: bigint, shown: Shown | null): void {
    this.#done.set(eventId, { shown, characters: shown?.payload.length ?? 0 });
    while (total > shared.total && this.#done.calculatedSize > shared.least) this.#done.pop();
    this.#sweepLater();
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
