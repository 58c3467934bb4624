import type pg from 'pg';
import type { Report } from '../core/report.ts';
import { readEpoch, readExtent, readNext, readLogPlace } from './event-log.ts';
import type { Broadcasted, FeedBroadcast, FeedReader } from './feed-part.ts';

const batchSize = 500;
const pollMs = 1_000;
const maxBackoffMs = 2_000;
/** If the last successful read is older than this, in ms, the feed no longer claims to be current. */
const staleMs = 5_000;
/**
 * The maximum number of calls to `whenRead`, and of calls to `whenPassed`, that may wait. The notices that the callers
 * want to send soon become outdated, so further calls are refused.
 */
const maxWaiting = 1_000;
/**
 * If a broadcast has not reported the end of the log for this long, in ms, the feed reads the log itself. A publisher
 * reports the end of the log every second.
 */
const broadcastSilenceMs = 2_000;
/**
 * How long, in ms, the feed waits for the broadcast to reach a subscriber's position before it reads the log instead.
 */
const broadcastPatienceMs = 100;

/** A call that waits for the feed to reach a position in the log. */
type Waiter = {
  place: bigint;
  /** Whether the feed must also know that it is current. */
  isStrict: boolean;
  resolve: () => void;
};

/**
 * Reads the events after its position from the log, in order, with one batch per query. Each process has only one feed.
 * The doorbell wakes the feed, and a slow poll finds new events if the doorbell fails. The feed never gives up. It
 * retries a failed query with back-off until the feed is closed. If there is a broadcast, the feed takes as many events
 * as possible from the broadcast and reads the rest from the log.
 */
export class Feed {
  readonly #pool: pg.Pool;
  readonly #reader: FeedReader;
  readonly #report: Report;
  readonly #broadcast: FeedBroadcast | null;
  #epoch = '';
  #position = 0n;
  #isRung = false;
  #isNudged = false;
  #mustCheckHistory = false;
  #isReading = false;
  readonly #waiting: ((isRead: boolean) => void)[] = [];
  #wake: (() => void) | null = null;
  readonly #toCatchUp = new Set<Waiter>();
  #lastReadAt = -Infinity;
  /** The last time when a read had reached the end of the log and the reader had received every event up to it. */
  #atEndAt = -Infinity;
  /**
   * When the feed last read the log itself, and when a broadcast last reported that the log ended at the feed's
   * position.
   */
  #polledAt = -Infinity;
  #heardEndAt = -Infinity;
  #isRelying = false;
  #isClosed = false;
  #done: Promise<void> = Promise.resolve();

  constructor(options: { pool: pg.Pool; reader: FeedReader; report: Report; broadcast?: FeedBroadcast | null }) {
    this.#pool = options.pool;
    this.#broadcast = options.broadcast ?? null;
    this.#reader = options.reader;
    this.#report = options.report;
  }

  /** The history that cursors belong to; see `readEpoch`. */
  get epoch(): string {
    return this.#epoch;
  }

  /** The id of the last event that was passed to the reader. */
  get position(): bigint {
    return this.#position;
  }

  /** How long ago the log was last read, in ms. */
  get sinceReadMs(): number {
    return performance.now() - this.#lastReadAt;
  }

  /** Whether the log was read in the last 5 s. */
  get hasReadLately(): boolean {
    return this.sinceReadMs < staleMs;
  }

  /**
   * Whether the reader was up to date with the log at some time in the last 5 s. If it was not, this node does not know
   * what has happened since.
   */
  get isCurrent(): boolean {
    return performance.now() - this.#atEndAt < staleMs;
  }

  /** Starts at the current end of the log. Throws if the database cannot be read. */
  async open(): Promise<void> {
    this.#epoch = await readEpoch(this.#pool);
    this.#position = (await readExtent(this.#pool)).head;
    this.#lastReadAt = this.#atEndAt = this.#polledAt = performance.now();
    this.#broadcast?.follow(this.#epoch);
    this.#done = this.#run();
  }

  /** Call this when the log may have new events. */
  ring(): void {
    this.#isRung = true;
    this.#wake?.();
  }

  /** Call this when a broadcast has new messages. */
  nudge(): void {
    this.#isNudged = true;
    this.#wake?.();
  }

  /**
   * Resolves to true once the reader has received every event announced so far, which is immediately or after the read
   * in progress. Resolves to false when that read fails, or immediately when too many callers are already waiting. If
   * the doorbell does not ring for events on this node, this call starts a read.
   */
  whenRead(): Promise<boolean> {
    if (this.#broadcast?.isBellOn() === false) this.ring();
    if (!this.#isReading && !this.#isRung) return Promise.resolve(true);
    if (this.#waiting.length >= maxWaiting) return Promise.resolve(false);
    return new Promise((resolve) => void this.#waiting.push(resolve));
  }

  /**
   * Resolves once the reader has received every event up to this position and the feed has confirmed that it is
   * current, because a subscriber that receives CaughtUp must not miss any later event. Also resolves when the feed
   * starts over or closes.
   */
  whenAt(place: bigint): Promise<void> {
    if (this.#isClosed || (this.isCurrent && this.#position >= place)) return Promise.resolve();
    return new Promise((resolve) => this.#await({ place, isStrict: true, resolve }));
  }

  /**
   * Resolves to true once the reader has received every event up to this position, so that a notice from that moment
   * may be shown. Resolves to false when too many callers are already waiting, and when the feed closes or starts over
   * before it has reached this position. */
  whenPassed(place: bigint): Promise<boolean> {
    if (this.#position >= place) return Promise.resolve(true);
    if (this.#isClosed || this.#toCatchUp.size >= maxWaiting) return Promise.resolve(false);
    return new Promise((resolve) =>
      this.#await({ place, isStrict: false, resolve: () => resolve(this.#position >= place) }),
    );
  }

  #await(waiter: Waiter): void {
    this.#toCatchUp.add(waiter);
    if (!this.#isRelying) return this.ring();
    setTimeout(() => {
      if (this.#toCatchUp.has(waiter)) this.ring();
    }, broadcastPatienceMs).unref();
  }

  /**
   * Call this when the connection to the database was lost or restored, because the database behind it may now have a
   * different history.
   */
  recheck(): void {
    this.#mustCheckHistory = true;
    this.ring();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#wake?.();
    await this.#done;
    this.#settle(false);
    this.#release(() => true);
  }

  async #run(): Promise<void> {
    let failures = 0;
    while (!this.#isClosed) {
      try {
        this.#isReading = true;
        if (failures > 0) await this.#checkHistory();
        const pauseMs = await this.#passAll();
        failures = 0;
        this.#isReading = false;
        await this.#sleep(pauseMs);
      } catch (error) {
        failures += 1;
        // The announced events have not been read yet.
        this.#isRung = true;
        this.#settle(false);
        if (failures === 1 && !this.#isClosed) this.#report('warn', 'the event feed cannot read the log', { error });
        await this.#sleep(Math.random() * Math.min(maxBackoffMs, 50 * 2 ** failures), { isDeaf: true });
      }
    }
  }

  /** Passes on all events that are available. Returns how soon the feed must check again if nothing wakes it, in ms. */
  async #passAll(): Promise<number> {
    while (!this.#isClosed) {
      if (this.#mustCheckHistory) await this.#checkHistory();
      if (!this.#isRung) this.#settle(true);
      this.#isNudged = false;
      const heard = this.#isRung ? null : await this.#passBroadcast();
      this.#noteReliance();
      if (heard?.state === 'PASSED') continue;
      if (heard !== null && heard.state !== 'INCOMPLETE') {
        const pauseMs = heard.state === 'WAITING' ? heard.ms : this.#untilPoll();
        if (this.#isRung || this.#isNudged) continue;
        if (pauseMs > 0) return pauseMs;
      }
      const count = await this.#readOn();
      if (count > 0 || heard?.state !== 'INCOMPLETE') continue;
      // The broadcast has announced events that the log does not have.
      this.#broadcast?.forget();
      this.#mustCheckHistory = true;
    }
    return 0;
  }

  async #passBroadcast(): Promise<Broadcasted> {
    const heard = (await this.#broadcast?.pass(this.#position)) ?? { state: 'OFF' };
    if (heard.state === 'OFF') this.#heardEndAt = -Infinity;
    if (heard.state !== 'PASSED') return heard;
    this.#position = heard.through;
    if (heard.endedAt !== null) {
      this.#heardEndAt = Math.max(this.#heardEndAt, heard.endedAt);
      this.#lastReadAt = Math.max(this.#lastReadAt, heard.endedAt);
      this.#noteEnd(heard.endedAt);
    }
    this.#release(({ place, isStrict }) => this.#position >= place && (this.isCurrent || !isStrict));
    return heard;
  }

  /** Returns how soon the feed must read the log if nothing happens until then, in ms. */
  #untilPoll(): number {
    const now = performance.now();
    const untilSilence = this.#heardEndAt + broadcastSilenceMs - now;
    return untilSilence > 0 ? untilSilence : this.#polledAt + pollMs - now;
  }

  #noteReliance(): void {
    const isRelying = performance.now() - this.#heardEndAt < broadcastSilenceMs;
    if (isRelying === this.#isRelying) return;
    this.#isRelying = isRelying;
    this.#broadcast?.onReliance(isRelying);
  }

  /** Reads the next events from the log and passes them on. Returns how many it read. */
  async #readOn(): Promise<number> {
    this.#isRung = false;
    const after = this.#position;
    const readAt = performance.now();
    const { events, prunedThrough } = await readNext(this.#pool, after, batchSize);
    this.#lastReadAt = this.#polledAt = performance.now();
    if (prunedThrough > after) {
      this.#restart((await readExtent(this.#pool)).head, 'the log was pruned past this node');
      return events.length;
    }
    const through = events.at(-1)?.id ?? after;
    const isEnd = events.length < batchSize;
    await this.#reader.publish({ events, after, through, isEnd, readAt });
    this.#position = through;
    if (isEnd) this.#noteEnd(performance.now());
    // After a full batch, there may be more events.
    else this.#isRung = true;
    this.#release(({ place }) => this.#position >= place);
    return events.length;
  }

  #noteEnd(at: number): void {
    const wasCurrent = this.isCurrent;
    this.#atEndAt = Math.max(this.#atEndAt, at);
    if (wasCurrent || !this.isCurrent) return;
    this.#report('info', 'the event feed can read the log again');
    this.#reader.resume();
  }

  /** Answers the callers that wait for the announced events, after these have been read or the read has failed. */
  #settle(isRead: boolean): void {
    for (const resolve of this.#waiting.splice(0)) resolve(isRead);
  }

  #release(isThere: (waiter: Waiter) => boolean): void {
    for (const waiter of this.#toCatchUp) {
      if (!isThere(waiter)) continue;
      this.#toCatchUp.delete(waiter);
      waiter.resolve();
    }
  }

  /** Checks, for example after an outage, that the history is the same and still includes every event that was read. */
  async #checkHistory(): Promise<void> {
    this.#mustCheckHistory = false;
    const epoch = await readEpoch(this.#pool);
    const { head, isKnown } = await readLogPlace(this.#pool, this.#position);
    if (epoch !== this.#epoch || !isKnown) {
      this.#epoch = epoch;
      this.#broadcast?.follow(epoch);
      this.#restart(head, 'the database has a different history than before');
    }
  }

  #restart(head: bigint, reason: string): void {
    this.#report('warn', 'the event feed starts over', { reason });
    this.#position = head;
    this.#broadcast?.forget();
    this.#reader.restart();
    this.#release(() => true);
  }

  /** Sleeps until the doorbell rings or the broadcast has messages, but for at most `ms`. A deaf sleep ignores both. */
  #sleep(ms: number, { isDeaf = false } = {}): Promise<void> {
    if (this.#isClosed || ((this.#isRung || this.#isNudged) && !isDeaf)) return Promise.resolve();
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timeout);
        this.#wake = null;
        resolve();
      };
      const timeout = setTimeout(done, ms);
      this.#wake = () => {
        if (!isDeaf || this.#isClosed) done();
      };
    });
  }
}
