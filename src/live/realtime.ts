import type pg from 'pg';
import type { Leases } from '../postgres/lease.ts';
import type { NodeLease } from '../postgres/node-lease.ts';
import { ConnectionPool } from '../postgres/pool.ts';
import { retryWhileAway } from '../postgres/transient.ts';
import type { Report } from '../core/report.ts';
import { Attendance, type AttendanceTimes } from './attendance.ts';
import { Doorbell } from '../log/doorbell.ts';
import { Feed } from '../log/feed.ts';
import type { EventTraces } from './event-trace.ts';
import type { Passage } from '../log/feed-part.ts';
import { Broadcast } from './broadcast/broadcast.ts';
import { attachRows, readForAll, rowsLastMs, type ReadRows } from './broadcast/read-for-all.ts';
import type { Channels } from '../redis/channels.ts';
import { Hub } from './hub.ts';
import type { HubBatch, HubLog } from './hub-log.ts';
import type { Listener } from './listener.ts';
import { readCircles } from './acquaintance.ts';
import { readExtent, type Extent } from '../log/event-log.ts';
import { readAddedMembers, readRecipients, readServerSnapshot, type LogReader } from '../log/log-reader.ts';
import { readMissedOnServer, type MissedChatStretch, type MissedStretch, type Range } from '../log/missed-stretch.ts';
import type { LoggedEvent } from '../log/event.ts';
import { LogReads } from '../log/log-reads.ts';
import type { Segment } from '../log/segment.ts';
import { MissedEvents } from '../log/missed-events.ts';
import { formatCursor } from '../log/cursor.ts';
import { Reservations, type ReservationLimits } from './reservation.ts';
import { Notices } from './notices.ts';
import type { TypingChannel } from './typing-channel.ts';

/** The parts that nodes need to tell each other about events, so that not every node has to read the log. */
export type BroadcastParts = { channels: Channels; leases: Leases; readRows: ReadRows };

/** The real-time part of a process: doorbell → feed → hub, and access to the log for subscribers that missed events. */
export class Realtime {
  readonly hub: Hub;
  readonly report: Report;
  /** Records the traces of events; null if tracing is off. */
  readonly traces: EventTraces | null;
  /** Called with the hex hash of a stream's token when an operation is waiting for the stream or has been cancelled. */
  onStreamRing: (tokenHash: string) => void = () => undefined;
  readonly #pool: pg.Pool;
  readonly #missed: MissedEvents;
  readonly #reads: LogReads;
  readonly #node: NodeLease;
  readonly #feed: Feed;
  readonly #doorbell: Doorbell;
  readonly #hubLog: HubLog;
  readonly #broadcast: Broadcast | null;
  readonly #readRows: ReadRows;
  readonly #notices: Notices;
  readonly #attendance: Attendance;

  /**
   * `directUrl` leads to the primary and bypasses any pooler; everything else uses the pool. Without `broadcast`, each
   * node reads the whole log itself.
   */
  constructor(options: {
    pool: pg.Pool;
    node: NodeLease;
    directUrl: string;
    report: Report;
    traces?: EventTraces | null;
    broadcast?: BroadcastParts | null;
    /** Delivers typing notices from other nodes while Redis is available. */
    typing?: TypingChannel | null;
    attendanceTimes?: Partial<AttendanceTimes> | undefined;
  }) {
    const { pool, report } = options;
    this.#pool = pool;
    this.#missed = new MissedEvents(pool, () => this.epoch());
    this.#reads = new LogReads(pool);
    this.#node = options.node;
    this.report = report;
    const traces = options.traces ?? null;
    this.traces = traces;
    this.#attendance = new Attendance(options);
    this.#hubLog = createHubLog(pool, this.#reads);
    this.hub = new Hub(this.#hubLog, this.#attendance);
    this.#readRows = options.broadcast?.readRows ?? (() => Promise.resolve(new Map()));
    this.#broadcast = options.broadcast == null ? null : this.#createBroadcast(options.broadcast);
    this.#feed = new Feed({
      pool,
      report,
      broadcast: this.#broadcast,
      reader: {
        publish: (passage) => this.#publish(passage),
        restart: () => this.hub.restart(),
        resume: () => this.#notices.refresh(),
      },
    });
    this.#notices = new Notices({
      pool,
      hub: this.hub,
      feed: this.#feed,
      report,
      traces,
      typing: options.typing ?? null,
      relay: this.#broadcast,
      onStreamRing: (tokenHash) => this.onStreamRing(tokenHash),
    });
    this.#doorbell = new Doorbell({
      url: options.directUrl,
      report,
      handlers: { parley_events: () => this.#feed.ring(), ...this.#notices.createRings() },
      onChange: (isConnected) => {
        this.#feed.recheck();
        if (isConnected) this.#notices.noteGap();
      },
      onRefused: () => {
        if (pool instanceof ConnectionPool) pool.spareOne();
      },
    });
  }

  /** Starts at the current end of the log. Throws if the database cannot be read. */
  async open(): Promise<void> {
    await this.#feed.open();
    await this.#doorbell.open();
    this.#broadcast?.open();
    this.#notices.open();
    this.#attendance.open();
  }

  async close(): Promise<void> {
    await this.#broadcast?.close();
    this.#notices.close();
    await this.#attendance.close();
    await this.#doorbell.close();
    await this.#feed.close();
  }

  /**
   * Passes on the events that this node has read from the log: to its own hub and, if this node is the publisher, to
   * the other nodes.
   */
  async #publish(passage: Passage): Promise<void> {
    const { events, through } = passage;
    if (this.#broadcast?.isPublishing !== true) return void (await this.#pass({ events, through }));
    const until = performance.now() + rowsLastMs;
    const read = await readForAll({ log: this.#hubLog, readRows: this.#readRows }, events);
    this.#broadcast.publish(passage, read);
    await this.#pass({ events: attachRows(events, read.rows, until), through, known: read.known });
  }

  #pass(batch: HubBatch): Promise<boolean> {
    this.traces?.pass(batch.events);
    return this.hub.publish(batch);
  }

  #createBroadcast(parts: BroadcastParts): Broadcast {
    return new Broadcast({
      ...parts,
      interest: this.hub.interest,
      pass: (batch) => this.#pass(batch),
      report: this.report,
      bell: {
        pause: () => this.#doorbell.pause(() => this.#notices.noteGap()),
        resume: () =>
          this.#doorbell.resume(() => {
            this.#feed.ring();
            this.#notices.noteGap();
          }),
        isOn: () => this.#doorbell.isListening,
      },
      onNews: () => this.#feed.nudge(),
      onDuty: () => this.#feed.ring(),
      onNotice: (notice) => void this.#notices.hearRelayed(notice),
      onGap: () => this.#notices.noteGap(),
    });
  }

  /**
   * Returns true while events are being read; otherwise returns a message that says how long ago the log was last read.
   */
  isReady(): true | string {
    if (this.#feed.hasReadLately) return true;
    return `the log was last read ${Math.round(this.#feed.sinceReadMs / 1_000)} s ago`;
  }

  epoch(): string {
    return this.#feed.epoch;
  }

  /**
   * Returns the id of the last event that has passed through the hub; null while this node does not know whether there
   * are later events.
   */
  position(): bigint | null {
    return this.#feed.isCurrent ? this.#feed.position : null;
  }

  /** The id of the last event that has passed through the hub, even if later events are known to exist. */
  get readThrough(): bigint {
    return this.#feed.position;
  }

  /**
   * Resolves once all events up to this position have passed through the hub and later ones are being read, or when the
   * feed starts over or closes.
   */
  whenAt(place: bigint): Promise<void> {
    return this.#feed.whenAt(place);
  }

  /** Reads the newest cursor of the log. */
  async readCursor(): Promise<string> {
    const { head } = await readExtent(this.#pool);
    return formatCursor({ epoch: this.epoch(), id: head });
  }

  /** Retries the work for as long as the database is unavailable and a caller wants the result. */
  retry<Value>(work: () => Promise<Value>, isWanted: () => boolean): Promise<Value> {
    return retryWhileAway(work, isWanted);
  }

  readExtent(): Promise<Extent> {
    return readExtent(this.#pool);
  }

  /** Returns the reservations of single connection mode, as this node sees them. */
  reservations(limits: ReservationLimits): Reservations {
    return new Reservations(this.#pool, this.#node.name, limits);
  }

  /**
   * Reads the events that the listener missed: those for its person or, for a listener for the whole server, those of
   * all chats.
   */
  readMissed({ userId, sessionId, serverKeyId }: Listener, range: Range): Promise<MissedStretch> {
    return serverKeyId == null
      ? this.#reads.missed({ reader: { userId, sessionId }, range })
      : readMissedOnServer(this.#pool, serverKeyId, range);
  }

  readMissedInChat({ userId, sessionId }: LogReader, chatId: bigint, range: Range): Promise<MissedChatStretch> {
    return this.#reads.missedInChat({ reader: { userId, sessionId }, chatId, range });
  }

  /** Returns the events of each segment; null if some of them are no longer stored. */
  findEvents(segments: readonly Segment[], reader: symbol): Promise<LoggedEvent[][] | null> {
    return this.#missed.find(segments, reader);
  }
}

function createHubLog(pool: pg.Pool, reads: LogReads): HubLog {
  return {
    readSnapshot: reads.snapshot,
    readServerSnapshot: (keyId) => readServerSnapshot(pool, keyId),
    readAddedMembers: (events, userIds) => readAddedMembers(pool, events, userIds),
    readCircles: (userIds) => readCircles(pool, userIds),
    readRecipients: (eventIds, of) => readRecipients(pool, eventIds, of),
  };
}
