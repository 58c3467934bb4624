import type pg from 'pg';
import type { NodeLease } from '../postgres/node-lease.ts';
import { ConnectionPool } from '../postgres/pool.ts';
import { retryWhileAway } from '../postgres/transient.ts';
import type { Report } from '../core/report.ts';
import { readCircles } from './acquaintance.ts';
import { Attendance, type AttendanceTimes } from './attendance.ts';
import { Doorbell } from '../log/doorbell.ts';
import { Feed } from '../log/feed.ts';
import type { EventTraces } from './event-trace.ts';
import { Hub } from './hub.ts';
import type { HubLog } from './hub-log.ts';
import type { Listener } from './listener.ts';
import { readExtent, type Extent } from '../log/event-log.ts';
import {
  readAddedMembers,
  readRecipients,
  readMissed,
  readMissedInChat,
  readMissedOnServer,
  readServerSnapshot,
  readSnapshot,
  type LogReader,
  type MissedChatStretch,
  type MissedStretch,
  type Range,
} from '../log/log-reader.ts';
import { formatCursor } from '../log/cursor.ts';
import { PresenceNews, readBlocks, readPresenceChanges } from './presence.ts';
import { Reservations, type ReservationLimits } from './reservation.ts';
import { traceChannel } from '../postgres/commit-trace.ts';
import { TypingPace } from './typing-pace.ts';

/** The live side of a process: doorbell → feed → hub, and access to the log for subscribers that missed events. */
export class Realtime {
  readonly hub: Hub;
  readonly report: Report;
  /** What records the traces of events; null without tracing. */
  readonly traces: EventTraces | null;
  /** Called with the hex hash of a stream's token when an operation waits for the stream or was cancelled. */
  onStreamRing: (tokenHash: string) => void = () => undefined;
  readonly #pool: pg.Pool;
  readonly #node: NodeLease;
  readonly #feed: Feed;
  readonly #doorbell: Doorbell;
  readonly #typing = new TypingPace();
  readonly #attendance: Attendance;

  /** `directUrl` leads to the primary and bypasses any pooler; everything else uses the pool. */
  constructor(options: {
    pool: pg.Pool;
    node: NodeLease;
    directUrl: string;
    report: Report;
    traces?: EventTraces | null;
    attendanceTimes?: Partial<AttendanceTimes> | undefined;
  }) {
    const { pool, report } = options;
    this.#pool = pool;
    this.#node = options.node;
    this.report = report;
    const traces = options.traces ?? null;
    this.traces = traces;
    this.#attendance = new Attendance(options);
    const hubLog: HubLog = {
      readSnapshot: (reader) => readSnapshot(pool, reader),
      readServerSnapshot: (keyId) => readServerSnapshot(pool, keyId),
      readAddedMembers: (events, userIds) => readAddedMembers(pool, events, userIds),
      readCircles: (userIds) => readCircles(pool, userIds),
      readRecipients: (eventIds, userIds) => readRecipients(pool, eventIds, userIds),
    };
    this.hub = new Hub(hubLog, this.#attendance);
    this.#feed = new Feed({
      pool,
      report,
      reader: {
        publish: (events) => {
          traces?.pass(events);
          return this.hub.publish(events);
        },
        restart: () => this.hub.restart(),
        resume: () => presenceNews.refresh(),
      },
    });
    const presenceNews = new PresenceNews({
      hub: this.hub,
      readCircles: (userIds, maxChats) => readCircles(pool, userIds, maxChats),
      readBlocks: (blockerIds, blockedIds) => readBlocks(pool, blockerIds, blockedIds),
      whenRead: () => this.#feed.whenRead(),
      position: () => this.position(),
      report,
    });
    this.#doorbell = new Doorbell({
      url: options.directUrl,
      report,
      handlers: {
        parley_events: () => this.#feed.ring(),
        parley_streams: (tokenHash) => this.onStreamRing(tokenHash),
        ...(traces !== null && { [traceChannel]: (payload: string) => traces.hear(payload) }),
        parley_typing: (payload) => this.#hearTyping(payload),
        parley_presence: (payload) => presenceNews.hear(readPresenceChanges(payload)),
      },
      onChange: (isConnected) => {
        this.#feed.recheck();
        // Presence changes were lost while the connection was down: clients must query presence again.
        if (isConnected) void this.#feed.whenRead().then(() => presenceNews.refresh());
      },
      onRefused: () => {
        if (pool instanceof ConnectionPool) pool.spareOne();
      },
    });
  }

  /** Starts at the log's current end. Throws when the database cannot be read. */
  async open(): Promise<void> {
    await this.#feed.open();
    await this.#doorbell.open();
    this.#attendance.open();
  }

  async close(): Promise<void> {
    await this.#attendance.close();
    await this.#doorbell.close();
    await this.#feed.close();
  }

  /** True while events are being read; otherwise how long ago the log was last read. */
  isReady(): true | string {
    if (this.#feed.hasReadLately) return true;
    return `the log was last read ${Math.round(this.#feed.sinceReadMs / 1_000)} s ago`;
  }

  epoch(): string {
    return this.#feed.epoch;
  }

  /** The last event that has gone through the hub; null while this node does not know whether there are later ones. */
  position(): bigint | null {
    return this.#feed.isCurrent ? this.#feed.position : null;
  }

  /** The last event that has gone through the hub, even if later ones are known to exist. */
  get readThrough(): bigint {
    return this.#feed.position;
  }

  /** Resolves once all events up to this position have gone through the hub and later ones are being read. */
  whenAt(place: bigint): Promise<void> {
    return this.#feed.whenAt(place);
  }

  /** The log's newest cursor. */
  async readCursor(): Promise<string> {
    const { head } = await readExtent(this.#pool);
    return formatCursor({ epoch: this.epoch(), id: head });
  }

  /** Repeats the work for as long as the database is unavailable and a caller wants the result. */
  retry<Value>(work: () => Promise<Value>, isWanted: () => boolean): Promise<Value> {
    return retryWhileAway(work, isWanted);
  }

  readExtent(): Promise<Extent> {
    return readExtent(this.#pool);
  }

  /** The reservations of single connection mode, as this node sees them. */
  reservations(limits: ReservationLimits): Reservations {
    return new Reservations(this.#pool, this.#node.name, limits);
  }

  /**
   * Every node receives each typing notice. It is shown only once the hub has passed every event up to the moment of
   * the notice: a member who was just added receives it, one who was just removed does not.
   */
  #hearTyping(payload: string): void {
    const match = /^(\d{1,19})\.(\d{1,19})$/.exec(payload);
    if (match?.[1] === undefined || match[2] === undefined) return;
    const typing = { chatId: BigInt(match[1]), userId: BigInt(match[2]) };
    const waitMs = this.#typing.wait(typing);
    if (waitMs === null) return;
    const show = async () => {
      if (await this.#feed.whenRead()) this.hub.publishTyping(typing);
    };
    if (waitMs === 0) void show();
    else setTimeout(() => void show(), waitMs).unref();
  }

  /** What that listener missed: everything of its person or, for a listener of the whole server, of all chats. */
  readMissed({ userId, sessionId, serverKeyId }: Listener, range: Range): Promise<MissedStretch> {
    return serverKeyId == null
      ? readMissed(this.#pool, { userId, sessionId }, range)
      : readMissedOnServer(this.#pool, serverKeyId, range);
  }

  readMissedInChat({ userId, sessionId }: LogReader, chatId: bigint, range: Range): Promise<MissedChatStretch> {
    return readMissedInChat(this.#pool, { userId, sessionId, chatId }, range);
  }
}
