import type { LoggedEvent } from '../log/event.ts';
import type { Segment } from '../log/segment.ts';
import type { Loaders } from '../postgres/loader.ts';

/**
 * The maximum number of groups that this process reads ahead of their turns. A group can contain 512 events with their
 * rows, so a thousand readers of different documents must not all read ahead at the same time.
 */
const maxAhead = 8;
/**
 * The maximum age of the rows when they are rendered, in ms. There is a limit because a socket may take minutes to
 * drain.
 */
const maxAgeMs = 1_000;

/** The groups that are being read, or that have been read and are waiting for their turn. */
const ahead = new Set<GroupRows>();

/**
 * `edition`: the edition that was current before anything was read (see Outdated). `events`: the events of each
 * segment; null if some of them are no longer stored.
 */
export type Rows = { edition: number; loaders: Loaders; events: Promise<LoggedEvent[][] | null> };

/**
 * The events of a group of segments and the rows that they show, which are read while the previous group is being
 * rendered.
 */
export class GroupRows {
  readonly #group: readonly Segment[];
  readonly #timer: NodeJS.Timeout;
  #rows: Rows | null;

  private constructor(group: readonly Segment[], rows: Rows) {
    [this.#group, this.#rows] = [group, rows];
    this.#timer = setTimeout(() => this.drop(), maxAgeMs).unref();
    ahead.add(this);
    // `take` returns the same promise, so the caller gets the error.
    rows.events.catch(() => undefined);
  }

  /** Starts reading, unless this process is already reading enough groups ahead. */
  static begin(group: readonly Segment[], read: () => Rows): GroupRows | null {
    return ahead.size < maxAhead ? new GroupRows(group, read()) : null;
  }

  /** Returns the rows if they belong to this group and are recent. A second call returns null. */
  take(group: readonly Segment[]): Rows | null {
    const rows = this.#rows;
    this.drop();
    const isSame = group.length === this.#group.length && group.every(({ key }, at) => key === this.#group[at]?.key);
    return isSame ? rows : null;
  }

  /** Allows the next group to be read ahead. Call this if the rows are not needed. */
  drop(): void {
    clearTimeout(this.#timer);
    ahead.delete(this);
    this.#rows = null;
  }
}
