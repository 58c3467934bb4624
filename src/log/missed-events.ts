import type pg from 'pg';
import { FifoCache } from '../core/fifo-cache.ts';
import type { LoggedEvent } from './event.ts';
import { Demand } from './demand.ts';
import { readEvents } from './missed-stretch.ts';
import type { Segment } from './segment.ts';

/**
 * How many events from the log are cached for replays, and for how long, in ms, which is no longer than their
 * renderings are cached.
 */
const kept = { max: 20_000, ttlMs: 2_000 };

/** The events of a segment, in order; null if some of them no longer exist. */
type SegmentEvents = Promise<LoggedEvent[] | null>;

/**
 * The events that many readers miss at the same time, which are read from the log once for all of them. Sharing is
 * safe, because a row of the log never changes, and the statement that reads the ids of a reader's events decides every
 * time what the reader may see.
 */
export class MissedEvents {
  readonly #pool: pg.Pool;
  readonly #epoch: () => string;
  /** The reads in progress. `at`: when the read started, in ms of `performance.now()`. */
  readonly #begun = new Map<string, { events: SegmentEvents; at: number }>();
  readonly #known = new FifoCache<string, SegmentEvents>(kept);
  readonly #demand = new Demand();
  #epochOfKnown = '';

  /** `epoch` returns the epoch of the current history of the log. */
  constructor(pool: pg.Pool, epoch: () => string) {
    this.#pool = pool;
    this.#epoch = epoch;
  }

  /**
   * Returns the events of each segment, from the cache or from the log; null if some of them no longer exist, because
   * the log was pruned after the ids were read.
   */
  async find(segments: readonly Segment[], reader: symbol): Promise<LoggedEvent[][] | null> {
    const epoch = this.#epoch();
    if (epoch !== this.#epochOfKnown) {
      this.#begun.clear();
      this.#known.clear();
      this.#epochOfKnown = epoch;
    }
    if (segments[0] !== undefined) this.#demand.note(reader, segments[0].firstId);
    const unknown: Segment[] = [];
    // The promises are stored here, because the cache may drop them before they are awaited, for example to make room
    // for the unknown segments.
    const reads = new Map<string, SegmentEvents>();
    for (const segment of segments) {
      const known = this.#findBegun(segment) ?? this.#known.get(segment.key);
      if (known === undefined) unknown.push(segment);
      else reads.set(segment.key, known);
    }
    if (unknown.length > 0) for (const [key, events] of this.#begin(unknown, reader)) reads.set(key, events);
    const found: LoggedEvent[][] = [];
    for (const { key } of segments) {
      const events = await reads.get(key);
      if (events == null) return null;
      found.push(events);
    }
    return found;
  }

  /** Returns a recent read of the segment; an older one may be waiting for a connection that has gone silent. */
  #findBegun({ key }: Segment): SegmentEvents | undefined {
    const begun = this.#begun.get(key);
    return begun !== undefined && performance.now() - begun.at < kept.ttlMs ? begun.events : undefined;
  }

  /** Reads the events of all these segments with one statement. */
  #begin(segments: readonly Segment[], reader: symbol): [key: string, events: SegmentEvents][] {
    const ids = segments.flatMap((segment) => segment.ids);
    const reading = readEvents(this.#pool, ids);
    const at = performance.now();
    let next = 0;
    return segments.map(({ key, length, lastId }) => {
      const [from, to] = [next, (next += length)];
      const events = reading.then((all) => (all.length === ids.length ? all.slice(from, to) : null));
      this.#begun.set(key, { events, at });
      const end = (read: LoggedEvent[] | null) => {
        // The result is not cached if it belongs to an earlier history or if a later read has replaced it.
        if (this.#begun.get(key)?.events !== events) return;
        this.#begun.delete(key);
        if (read !== null && this.#demand.isShared(reader, lastId)) this.#known.set(key, events, length);
      };
      events.then(end, () => end(null));
      return [key, events];
    });
  }
}
