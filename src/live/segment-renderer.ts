import { setImmediate as afterIo } from 'node:timers/promises';
import { payerOf, type Caller } from '../core/asker.ts';
import { FifoCache, type CacheBudget } from '../core/fifo-cache.ts';
import { allThere } from '../core/soon.ts';
import { Demand } from '../log/demand.ts';
import type { LoggedEvent } from '../log/event.ts';
import type { Loaders } from '../postgres/loader.ts';
import { cutSegments, maxLength, type Segment, type Segments } from '../log/segment.ts';
import { byteLengthOf, bytesOf, type Batch, type Rendering } from './delivery.ts';
import type { RenderedEvent } from './event-renderer.ts';
import { sliceSize, type RenderTurns } from './render-turn.ts';
import { GroupRows, type Rows } from './group-rows.ts';
import type { SharedRenderer } from './shared-renderer.ts';

/** How many bytes of renderings the cache of one document holds for replays, and for how long. */
const kept = { max: 8 * 1024 * 1024, least: 1024 * 1024, ttlMs: 2_000 };
/** The weight of a cache entry in addition to its renderings, for the strings that contain its ids. */
const entryWeight = 1_000;
/**
 * How much the caches of all documents in this process may hold in total, in bytes. A rendering is stored both as text
 * and in encoded form.
 */
const budget: CacheBudget = { used: 0, max: 32 * 1024 * 1024 };

/** The maximum number of events that are rendered in one turn, if they cost little. */
const maxEvents = 512;
/** Renderings with a total size above this are sent in several batches of about this size. */
const batchBytes = 32 * 1024;

/** The results of a document for a segment, in order. It is empty if the document shows nothing from the segment. */
export type RenderedSegment = readonly Batch[];

/** `chatIds`: the chats of the segment's events, without duplicates. `edition`: see Outdated. */
type RecentSegment = { batches: RenderedSegment; chatIds: readonly (bigint | null)[]; edition: number };

/**
 * The results for a segment's events, and the chats of these events, both in the order of the events. `edition`: see
 * Outdated.
 */
type ShownEvents = {
  shown: readonly (RenderedEvent | null)[];
  chatIds: readonly (bigint | null)[];
  edition: number;
};

/** Finds the events of each segment for this reader; returns null if some of them are no longer stored. */
export type FindEvents = (segments: readonly Segment[], reader: symbol) => Promise<LoggedEvent[][] | null>;

/**
 * Who replays: `reader` is a symbol that is unique to each replay. `rows`: the result of `readAhead`, if it was called.
 */
export type SegmentReader = { asker: Caller; reader: symbol; findEvents: FindEvents; rows?: GroupRows | null };

/**
 * Renders one document for replays, one segment of the log at a time. Readers that missed the same events share the
 * renderings and their bytes, even if their cursors differ. After a restart, a thousand readers therefore cost about as
 * much as one reader plus the writes to a thousand sockets (bench:storm).
 */
export class SegmentRenderer {
  readonly #renderer: SharedRenderer;
  readonly #turns: RenderTurns;
  readonly #recent = new FifoCache<string, RecentSegment>({ ...kept, budget });
  readonly #demand = new Demand();
  readonly #sliceSize: number;

  constructor(renderer: SharedRenderer, turns: RenderTurns) {
    this.#renderer = renderer;
    this.#turns = turns;
    this.#sliceSize = sliceSize(renderer.cost, maxEvents);
  }

  /** Cuts at most `limit` of the comma-separated ids into segments. */
  cut(ids: string, limit: number): Segments {
    return cutSegments(ids, { limit, most: Math.min(maxLength, this.#sliceSize) });
  }

  /** Groups segments for `render`, which renders each group in one turn. */
  *group(segments: readonly Segment[]): Iterable<Segment[]> {
    let group: Segment[] = [];
    let length = 0;
    for (const segment of segments) {
      if (group.length > 0 && length + segment.length > this.#sliceSize) {
        yield group;
        [group, length] = [[], 0];
      }
      group.push(segment);
      length += segment.length;
    }
    if (group.length > 0) yield group;
  }

  /** Drops all renderings. */
  clear(): void {
    this.#recent.clear();
  }

  /**
   * Renders a group of segments as this asker may see them, in a turn of the asker; returns null if some of their
   * events are no longer stored. Segments that other readers have just replayed need no turn, because they cost
   * nothing.
   */
  async render(group: readonly Segment[], options: SegmentReader): Promise<RenderedSegment[] | null> {
    this.#note(group, options.reader);
    const known = this.#findAll(group);
    if (known !== null) {
      options.rows?.drop();
      return known;
    }
    return this.#turns.run([payerOf(options.asker)], () => this.#renderNow(group, options));
  }

  /**
   * Starts reading the events of the group that will be rendered next, and the rows that they show, so that PostgreSQL
   * and this process work at the same time. Returns null if other readers want the group too, because the group may
   * already have been rendered by the time its turn comes.
   */
  readAhead(group: readonly Segment[], options: SegmentReader): GroupRows | null {
    const lastId = group.at(-1)?.lastId;
    if (lastId === undefined || this.#demand.isShared(options.reader, lastId)) return null;
    return GroupRows.begin(group, () => {
      const { edition } = this.#renderer.outdated;
      const loaders = this.#renderer.newLoaders();
      return { edition, loaders, events: this.#readRows(group, loaders, options) };
    });
  }

  /**
   * Returns the events of each segment; null if some of them are no longer stored. Also reads the rows that the events
   * show.
   */
  async #readRows(
    segments: readonly Segment[],
    loaders: Loaders,
    { reader, findEvents }: SegmentReader,
  ): Promise<LoggedEvent[][] | null> {
    if (segments.length === 0) return [];
    const events = await findEvents(segments, reader);
    if (events !== null) await this.#renderer.prefetch(events.flat(), loaders);
    return events;
  }

  /** Returns the rows that were read ahead, unless a message in one of their chats has since been edited or deleted. */
  async #takeRows(group: readonly Segment[], { rows }: SegmentReader): Promise<Rows | null> {
    const ready = rows?.take(group) ?? null;
    if (ready === null) return null;
    const events = (await ready.events)?.flat() ?? [];
    const { outdated } = this.#renderer;
    return events.every(({ chatId }) => outdated.isCurrent(ready.edition, chatId)) ? ready : null;
  }

  #note([first]: readonly Segment[], reader: symbol): void {
    if (first !== undefined) this.#demand.note(reader, first.firstId);
  }

  #findAll(group: readonly Segment[]): RenderedSegment[] | null {
    const found: RenderedSegment[] = [];
    for (const segment of group) {
      const known = this.#find(segment);
      if (known === null) return null;
      found.push(known);
    }
    return found;
  }

  #find({ key }: Segment): RenderedSegment | null {
    const known = this.#recent.get(key);
    if (known === undefined) return null;
    const { outdated } = this.#renderer;
    return known.chatIds.every((chatId) => outdated.isCurrent(known.edition, chatId)) ? known.batches : null;
  }

  async #renderNow(group: readonly Segment[], options: SegmentReader): Promise<RenderedSegment[] | null> {
    const { asker, reader } = options;
    const ready = await this.#takeRows(group, options);
    const edition = ready?.edition ?? this.#renderer.outdated.edition;
    const loaders = ready?.loaders ?? this.#renderer.newLoaders();
    const rendered = new Map<Segment, RenderedSegment>();
    const unknown: Segment[] = [];
    for (const segment of group) {
      // The segment's events may already have been rendered in other segments, for readers of other chats.
      const known = this.#find(segment) ?? this.#compose(segment, options);
      if (known === null) unknown.push(segment);
      else rendered.set(segment, known);
    }
    const read = ready === null ? unknown : group;
    const events = await (ready?.events ?? this.#readRows(unknown, loaders, options));
    if (events === null) return null;
    // The read may have taken so long that this reader has been forgotten. Noting it again lets the readers that waited
    // share the renderings.
    this.#note(group, reader);
    for (const segment of unknown) {
      const own = events[read.indexOf(segment)] ?? [];
      const isShared = this.#demand.isShared(reader, segment.lastId);
      const shown = await allThere(
        own.map((event) => this.#renderer.renderFor(event, { asker, loaders, edition, isShared })),
      );
      const chatIds = own.map(({ chatId }) => chatId);
      rendered.set(segment, this.#toBatches(segment, { shown, chatIds, edition }, reader));
      if (unknown.length > 1) await afterIo();
    }
    return group.map((segment) => rendered.get(segment) ?? []);
  }

  /** Renders a segment from the latest renderings of its events; returns null if some of these are missing. */
  #compose(segment: Segment, { asker, reader }: SegmentReader): RenderedSegment | null {
    const shown: (RenderedEvent | null)[] = [];
    const chatIds: (bigint | null)[] = [];
    for (const id of segment.ids) {
      const known = this.#renderer.findFor(id, asker);
      if (known === undefined) return null;
      shown.push(known.shown);
      chatIds.push(known.chatId);
    }
    return this.#toBatches(segment, { shown, chatIds, edition: this.#renderer.outdated.edition }, reader);
  }

  /**
   * Makes batches of the results for a segment's events, and caches the batches if they are not personal and others
   * want the same segment.
   */
  #toBatches(segment: Segment, { shown, chatIds, edition }: ShownEvents, reader: symbol): RenderedSegment {
    const { key, ids, lastId } = segment;
    const batches = toBatches(
      ids.flatMap((id, index) => {
        const each = shown[index];
        return each == null ? [] : [this.#renderer.toRendering(id, each.payload)];
      }),
    );
    const isPersonal = shown.some((each) => each !== null && each.personalTo !== null);
    if (!isPersonal && this.#demand.isShared(reader, lastId)) {
      const bytes = batches.reduce((sum, batch) => sum + 2 * bytesOf(batch), 0);
      this.#recent.set(key, { batches, chatIds: [...new Set(chatIds)], edition }, entryWeight + bytes);
    }
    return batches;
  }
}

function toBatches(renderings: readonly Rendering[]): Batch[] {
  const batches: Batch[] = [];
  let bytes = batchBytes;
  for (const rendering of renderings) {
    if (bytes >= batchBytes) {
      batches.push({ renderings: [], encodings: new Map() });
      bytes = 0;
    }
    batches.at(-1)?.renderings.push(rendering);
    bytes += byteLengthOf(rendering);
  }
  return batches;
}
