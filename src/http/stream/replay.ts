import type { Caller } from '../../core/asker.ts';
import type { GroupRows } from '../../live/group-rows.ts';
import type { FindEvents, SegmentReader } from '../../live/segment-renderer.ts';
import type { SharedSubscription } from '../../live/shared-subscription.ts';
import type { MissedStretch, Range } from '../../log/missed-stretch.ts';
import type { Pace } from './pace.ts';
import { ReadAhead } from './read-ahead.ts';
import { ReplayBudget, type ReplayLimits } from './replay-budget.ts';
import type { Sink } from './sink.ts';

/** The properties and functions of the subscription that a replay needs. */
export type ReplayOptions<Stretch extends MissedStretch> = {
  asker: Caller;
  shared: SharedSubscription;
  sink: Sink;
  limits: ReplayLimits;
  pace: Pace;
  readStretch: (range: Range) => Promise<Stretch>;
  findEvents: FindEvents;
  /** Whether the subscription has ended. */
  isOver: () => boolean;
};

/**
 * Sends the events that a subscriber has missed, beginning where the subscriber left off, until the subscriber is live.
 * The events are read from the log in stretches, as fast as the socket drains. A live subscriber has no Replay object,
 * which saves memory because most streams are idle.
 */
export class Replay<Stretch extends MissedStretch> {
  readonly #options: ReplayOptions<Stretch>;
  readonly #budget: ReplayBudget;
  readonly #ahead: ReadAhead<Stretch>;
  readonly #reader = Symbol('reader');
  /** The rows of the stretch that is being read ahead. */
  #rows: GroupRows | null = null;

  constructor(options: ReplayOptions<Stretch>) {
    this.#options = options;
    this.#budget = new ReplayBudget(options.limits);
    this.#ahead = new ReadAhead(options.readStretch);
  }

  /** How many events the replay has sent since it was last restarted. */
  get events(): number {
    return this.#budget.events;
  }

  /** Starts counting from zero, for another replay. */
  restart(): void {
    this.#budget.restart();
  }

  /** Reads the stretch after a position, with as many events as the pace allows. */
  async read(after: bigint, through: bigint): Promise<{ stretch: Stretch; range: Range }> {
    const range = { after, through, limit: this.#options.pace.size };
    return { stretch: await this.#ahead.take(range), range };
  }

  /**
   * Renders and sends the events, a few segments at a time. Returns the position that was reached: the end of the
   * stretch, or an earlier position if there was not enough room. The next stretch is read in the meantime. Throws
   * ResetNeeded when there is too much to replay.
   */
  async send({ ids }: Stretch, { after, through, limit }: Range): Promise<bigint> {
    const { shared, sink, pace, isOver } = this.#options;
    let rows = this.#rows;
    this.#rows = null;
    const { segments, isFull } = shared.segments.cut(ids, limit);
    const end = isFull ? (segments.at(-1)?.lastId ?? through) : through;
    if (isFull && pace.isSteady) this.#readAhead({ after: end, through, limit });
    let [position, count] = [after, 0];
    for (const group of shared.segments.group(segments)) {
      // The rest of the stretch is discarded. It may take hours until there is room, and the stretch is read again
      // then.
      if (count > 0 && !sink.takesAll()) {
        pace.slowDown(count);
        return position;
      }
      const rendered = await shared.segments.render(group, { ...this.#segmentReader, rows });
      rows = null;
      // If some of the events have been pruned in the meantime, reading the next stretch reports it.
      if (isOver() || rendered === null) return position;
      const stoppedAt = pace.send(rendered.flat(), sink, (batch) => this.#budget.take(batch));
      if (stoppedAt !== null) return stoppedAt;
      position = group.at(-1)?.lastId ?? position;
      count += group.reduce((sum, { length }) => sum + length, 0);
    }
    return end;
  }

  get #segmentReader(): SegmentReader {
    const { asker, findEvents } = this.#options;
    return { asker, reader: this.#reader, findEvents };
  }

  /** Starts reading the next stretch, and the rows for its first group. */
  #readAhead(range: Range): void {
    const { shared, isOver } = this.#options;
    const { segments: renderer } = shared;
    const readRows = ({ ids }: Stretch) => {
      if (isOver()) return;
      const [group] = renderer.group(renderer.cut(ids, range.limit).segments);
      this.#rows?.drop();
      this.#rows = group === undefined ? null : renderer.readAhead(group, this.#segmentReader);
    };
    // `take` returns the same promise, so the caller gets the error.
    this.#ahead.begin(range).then(readRows, () => undefined);
  }
}
