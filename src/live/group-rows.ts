import type { LoggedEvent } from '../log/event.ts';
import type { Segment } from '../log/segment.ts';
import type { Loaders } from '../postgres/loader.ts';

/**
 * How many groups this process reads ahead of their turns. Each can be 512 events with their rows, so a thousand readers
 * of different documents must not all read ahead.
 */
const maxAhead = 8;
/** How old the rows may be when they are rendered, in ms. A socket may take minutes to drain. */
const maxAgeMs = 1_000;

/** The groups that are being read, or have been read and wait for their turn. */
const ahead = new Set<GroupRows>();

/**
 * `edition`: the one that was current before anything was read, see Outdated. `events`: those of each segment; null if
 * some of them are no longer kept.
 */
export type Rows = { edition: number; loaders: Loaders; events: Promise<LoggedEvent[][] | null> };

/** The events of a group of segments, and the rows that they show, read while the group before it is rendered. */
export class GroupRows {
  readonly #group: readonly Segment[];
  readonly #timer: NodeJS.Timeout;
  #rows: Rows | null;

  private constructor(group: readonly Segment[], rows: Rows) {
    [this.#group, this.#rows] = [group, rows];
    this.#timer = setTimeout(() => this.drop(), maxAgeMs).unref();
    ahead.add(this);
    // `take` returns the same promise, with its error.
    rows.events.catch(() => undefined);
  }

  /** Begins to read, unless this process already reads enough ahead. */
  static begin(group: readonly Segment[], read: () => Rows): GroupRows | null {
    return ahead.size < maxAhead ? new GroupRows(group, read()) : null;
  }

  /** The rows, once, if they are this group's and recent. */
  take(group: readonly Segment[]): Rows | null {
    const rows = this.#rows;
    this.drop();
    const isSame = group.length === this.#group.length && group.every(({ key }, at) => key === this.#group[at]?.key);
    return isSame ? rows : null;
  }

  /** Lets the next group be read ahead. Call this if no one needs the rows. */
  drop(): void {
    clearTimeout(this.#timer);
    ahead.delete(this);
    this.#rows = null;
  }
}
