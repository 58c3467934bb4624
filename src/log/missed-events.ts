import type pg from 'pg';
import { createLru } from '../core/lru.ts';
import type { LoggedEvent } from './event.ts';
import { readEvents, type MissedIds, type MissedStretch } from './log-reader.ts';

/**
 * How many events of the log are kept for replays, and for how long. After a restart of the
 * database, the same id may be another event, so they are not kept for longer than their renderings.
 */
const kept = { count: 20_000, ms: 2_000 };

/**
 * The events that many readers miss at the same time, read from the log once for all of them. What each reader may see is
 * decided by the statement that reads their ids, every time; a row of the log never changes.
 */
export class MissedEvents {
  readonly #pool: pg.Pool;
  readonly #epoch: () => string;
  readonly #known = createLru<bigint, LoggedEvent>(kept.count, { ttlMs: kept.ms });
  readonly #loading = new Map<bigint, Promise<ReadonlyMap<bigint, LoggedEvent>>>();
  #epochOfKnown = '';

  /** `epoch` returns the epoch of the log's current history. */
  constructor(pool: pg.Pool, epoch: () => string) {
    this.#pool = pool;
    this.#epoch = epoch;
  }

  /** Reads a stretch: its ids by `readIds`, and its events from what is kept, or from the log. */
  async read<Ids extends MissedIds>(readIds: () => Promise<Ids>): Promise<Omit<Ids, 'ids'> & MissedStretch> {
    for (;;) {
      const { ids, ...stretch } = await readIds();
      const events = await this.#find(ids);
      // Otherwise some were pruned after their ids were read: the next stretch says so.
      if (events !== null) return { ...stretch, events };
    }
  }

  /** The events with these ids, in their order; null if one of them does not exist any more. */
  async #find(ids: readonly bigint[]): Promise<LoggedEvent[] | null> {
    if (this.#epochOfKnown !== this.#epoch()) {
      this.#known.clear();
      this.#loading.clear();
      this.#epochOfKnown = this.#epoch();
    }
    const found = new Map<bigint, LoggedEvent>();
    const unknown: bigint[] = [];
    const loading = new Set<Promise<ReadonlyMap<bigint, LoggedEvent>>>();
    for (const id of ids) {
      const event = this.#known.get(id);
      const underWay = this.#loading.get(id);
      if (event !== undefined) found.set(id, event);
      else if (underWay !== undefined) loading.add(underWay);
      else unknown.push(id);
    }
    if (unknown.length > 0) loading.add(this.#load(unknown));
    for (const loaded of await Promise.all(loading)) for (const [id, event] of loaded) found.set(id, event);
    const events = ids.map((id) => found.get(id));
    return events.every((event) => event !== undefined) ? events : null;
  }

  async #load(ids: readonly bigint[]): Promise<ReadonlyMap<bigint, LoggedEvent>> {
    const loading = this.#readThrough(ids);
    for (const id of ids) this.#loading.set(id, loading);
    try {
      return await loading;
    } finally {
      for (const id of ids) if (this.#loading.get(id) === loading) this.#loading.delete(id);
    }
  }

  async #readThrough(ids: readonly bigint[]): Promise<ReadonlyMap<bigint, LoggedEvent>> {
    const epoch = this.#epoch();
    const events = await readEvents(this.#pool, ids);
    if (epoch === this.#epochOfKnown) for (const event of events) this.#known.set(event.id, event);
    return new Map(events.map((event) => [event.id, event]));
  }
}
