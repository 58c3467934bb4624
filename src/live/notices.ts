import type pg from 'pg';
import type { Report } from '../core/report.ts';
import type { ChannelHandlers } from '../log/doorbell.ts';
import type { Feed } from '../log/feed.ts';
import { traceChannel } from '../postgres/commit-trace.ts';
import { readCircles } from './acquaintance.ts';
import type { Notice } from './broadcast/wire.ts';
import type { EventTraces } from './event-trace.ts';
import type { Hub } from './hub.ts';
import type { Typing } from './notice.ts';
import { PresenceNews, readBlocks, readPresenceChanges } from './presence.ts';
import type { PlacedTyping, TypingChannel } from './typing-channel.ts';
import { TypingPace } from './typing-pace.ts';

/** Whether the hub has already passed on every event that precedes a notice, and a function that waits for that. */
type Passing = { isPassed: boolean; whenPassed: () => Promise<boolean> };

/** The interface through which the publisher passes PostgreSQL's notifications on to the nodes that do not listen. */
export type NoticeRelay = {
  readonly isPublishing: boolean;
  notify: (notice: Pick<Notice, 'place' | 'channel' | 'payload'>) => void;
  noteGap: () => void;
};

/** What `Notices` needs. */
export type NoticesOptions = {
  pool: pg.Pool;
  hub: Hub;
  feed: Feed;
  report: Report;
  traces: EventTraces | null;
  /** Delivers typing notices from other nodes while Redis is available. */
  typing: TypingChannel | null;
  relay: NoticeRelay | null;
  /** Called with the hex hash of a stream's token when an operation was added to the stream or cancelled. */
  onStreamRing: (tokenHash: string) => void;
};

/**
 * Notices between nodes, which are not stored: typing, presence, and the news that the operations of a stream have
 * changed. Typing and presence notices are shown only once the hub has passed on every event that came before them.
 * Notices come from PostgreSQL or, while this node does not listen to PostgreSQL, from the publisher; typing notices
 * also arrive on a separate channel. Notices may be lost.
 */
export class Notices {
  readonly #options: NoticesOptions;
  readonly #presenceNews: PresenceNews;
  readonly #typingPace = new TypingPace();
  /** The handlers, keyed by PostgreSQL channel. */
  readonly #hearers: Record<string, (payload: string, passing: Passing) => void>;
  #leaveTyping: () => void = () => undefined;

  constructor(options: NoticesOptions) {
    this.#options = options;
    const { pool, hub, feed, report, traces, onStreamRing } = options;
    this.#presenceNews = new PresenceNews({
      hub,
      readCircles: (userIds, maxChats) => readCircles(pool, userIds, maxChats),
      readBlocks: (blockerIds, blockedIds) => readBlocks(pool, blockerIds, blockedIds),
      whenRead: () => feed.whenRead(),
      position: () => (feed.isCurrent ? feed.position : null),
      report,
    });
    this.#hearers = {
      parley_streams: onStreamRing,
      parley_typing: (payload, { whenPassed }) => this.#hearTyping(readTyping(payload), whenPassed),
      parley_presence: (payload, { isPassed }) => this.#presenceNews.hear(readPresenceChanges(payload), { isPassed }),
      ...(traces !== null && { [traceChannel]: (payload: string) => traces.hear(payload) }),
    };
  }

  open(): void {
    const { typing, feed } = this.#options;
    if (typing === null) return;
    // A notice may arrive before this node has read the log up to the position of the notice.
    const show = (placed: PlacedTyping) => this.#hearTyping(placed, () => feed.whenPassed(placed.place));
    this.#leaveTyping = typing.listen(show);
  }

  close(): void {
    this.#leaveTyping();
  }

  /**
   * Creates the handlers for notifications from PostgreSQL. They act on a notification and, if this node is the
   * publisher, pass it on to the other nodes.
   */
  createRings(): ChannelHandlers {
    const { feed, relay } = this.#options;
    const rings = Object.entries(this.#hearers).map(([channel, hear]) => {
      const ring = (payload: string) => {
        // Notifications arrive in commit order, so the log already contains everything up to this notification.
        hear(payload, { isPassed: false, whenPassed: () => feed.whenRead() });
        if (relay?.isPublishing === true) void this.#relay(relay, channel, payload);
      };
      return [channel, ring];
    });
    return Object.fromEntries(rings);
  }

  /** Acts on a notice that the publisher has passed on. */
  async hearRelayed({ channel, payload, place }: Notice): Promise<void> {
    if (!(await this.#options.feed.whenPassed(place))) return this.noteGap();
    this.#hearers[channel]?.(payload, { isPassed: true, whenPassed: () => Promise.resolve(true) });
  }

  /**
   * Call this when notices may have been lost: clients then query presence again, including the clients of other nodes
   * if this node is the publisher. Other kinds of notices soon become outdated, so their loss does not matter.
   */
  noteGap(): void {
    this.#options.relay?.noteGap();
    void this.#options.feed.whenRead().then(() => this.refresh());
  }

  /** Tells every client on this node that follows presence to query it again. */
  refresh(): void {
    this.#presenceNews.refresh();
  }

  async #relay(relay: NoticeRelay, channel: string, payload: string): Promise<void> {
    const { feed } = this.#options;
    if (await feed.whenRead()) relay.notify({ channel, payload, place: feed.position });
    else relay.noteGap();
  }

  /**
   * Every node receives each typing notice. A member who was just added to the chat sees the notice, and a member who
   * was just removed does not.
   */
  #hearTyping(typing: Typing | null, whenPassed: () => Promise<boolean>): void {
    const waitMs = typing && this.#typingPace.wait(typing);
    if (typing === null || waitMs === null) return;
    const show = async () => {
      if (await whenPassed()) this.#options.hub.publishTyping(typing);
    };
    if (waitMs === 0) void show();
    else setTimeout(() => void show(), waitMs).unref();
  }
}

function readTyping(payload: string): Typing | null {
  const [, chatId, userId] = /^(\d{1,19})\.(\d{1,19})$/.exec(payload) ?? [];
  return chatId === undefined || userId === undefined ? null : { chatId: BigInt(chatId), userId: BigInt(userId) };
}
