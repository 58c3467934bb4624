import type pg from 'pg';
import type { Report } from '../core/report.ts';
import type { LoggedEvent } from './event.ts';
import { readEpoch, readExtent, readNext, readLogPlace } from './event-log.ts';

const batchSize = 500;
const pollMs = 1_000;
const maxBackoffMs = 2_000;
/** In ms: when the last successful read is older than this, the feed no longer claims to know what has happened. */
const staleMs = 5_000;
/**
 * The maximum number of calls of `whenRead` that may wait. What they wait to send loses its value quickly, so further
 * calls are refused.
 */
const maxWaiting = 1_000;

/** What the feed calls on the hub. */
export type FeedReader = {
  /** Receives the next events of the log, in order. The feed waits for it before it reads on. */
  publish: (events: LoggedEvent[]) => Promise<void>;
  /**
   * The log has been replaced (restored, failed over, or pruned past the feed's position): nothing held can be
   * trusted.
   */
  restart: () => void;
  /** The log is readable again after an outage. */
  resume: () => void;
};

/** A call that waits for the feed to reach a position in the log. */
type Waiter = { place: bigint; resolve: () => void };

/**
 * Reads the log past its position, once per process, in order, one batch per query. The doorbell wakes it; a slow
 * poll covers a silent doorbell. It never gives up: a failed query is retried with back-off until the feed is closed.
 */
export class Feed {
  readonly #pool: pg.Pool;
  readonly #reader: FeedReader;
  readonly #report: Report;
  #epoch = '';
  #position = 0n;
  #isRung = false;
  #mustCheckHistory = false;
  #isReading = false;
  readonly #waiting: ((isRead: boolean) => void)[] = [];
  #wake: (() => void) | null = null;
  readonly #toCatchUp = new Set<Waiter>();
  #lastReadAt = -Infinity;
  /** When a read last reached the end of the log with every event passed to the reader. */
  #atEndAt = -Infinity;
  #isClosed = false;
  #done: Promise<void> = Promise.resolve();

  constructor(options: { pool: pg.Pool; reader: FeedReader; report: Report }) {
    this.#pool = options.pool;
    this.#reader = options.reader;
    this.#report = options.report;
  }

  /** The history that cursors belong to; see `readEpoch`. */
  get epoch(): string {
    return this.#epoch;
  }

  /** The last event passed to the reader. */
  get position(): bigint {
    return this.#position;
  }

  /** How long ago the log was last read, in ms. */
  get sinceReadMs(): number {
    return performance.now() - this.#lastReadAt;
  }

  /** Whether the log was read within the last 5 s. */
  get hasReadLately(): boolean {
    return this.sinceReadMs < staleMs;
  }

  /**
   * Whether the reader was up to date with the log within the last 5 s; otherwise this node does not know what has
   * happened since.
   */
  get isCurrent(): boolean {
    return performance.now() - this.#atEndAt < staleMs;
  }

  /** Starts at the log's current end. Throws when the database cannot be read. */
  async open(): Promise<void> {
    this.#epoch = await readEpoch(this.#pool);
    this.#position = (await readExtent(this.#pool)).head;
    this.#lastReadAt = this.#atEndAt = performance.now();
    this.#done = this.#run();
  }

  /** Call this when the log may have new events. */
  ring(): void {
    this.#isRung = true;
    this.#wake?.();
  }

  /**
   * Resolves to true once the reader has received every event announced until now: immediately, or after the read in
   * progress. Resolves to false when that read fails, or immediately when too many callers are already waiting.
   */
  whenRead(): Promise<boolean> {
    if (!this.#isReading && !this.#isRung) return Promise.resolve(true);
    if (this.#waiting.length >= maxWaiting) return Promise.resolve(false);
    return new Promise((resolve) => void this.#waiting.push(resolve));
  }

  /**
   * Resolves once the reader has received every event up to this position and the feed has confirmed that it is
   * current: a subscriber that receives CaughtUp must not miss what comes next. Also resolves when the feed starts over
   * or closes.
   */
  whenAt(place: bigint): Promise<void> {
    if (this.#isClosed || (this.isCurrent && this.#position >= place)) return Promise.resolve();
    this.ring();
    return new Promise((resolve) => void this.#toCatchUp.add({ place, resolve }));
  }

  /**
   * Call this when the connection to the database was lost or restored: the database behind it may now have another
   * history.
   */
  recheck(): void {
    this.#mustCheckHistory = true;
    this.ring();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#wake?.();
    await this.#done;
    this.#release(() => true);
  }

  async #run(): Promise<void> {
    let failures = 0;
    while (!this.#isClosed) {
      try {
        this.#isReading = true;
        if (failures > 0 || this.#mustCheckHistory) await this.#checkHistory();
        await this.#readToEnd();
        failures = 0;
        this.#isReading = false;
        for (const resolve of this.#waiting.splice(0)) resolve(true);
        await this.#sleep(pollMs);
      } catch (error) {
        failures += 1;
        for (const resolve of this.#waiting.splice(0)) resolve(false);
        if (failures === 1 && !this.#isClosed) this.#report('warn', 'the event feed cannot read the log', { error });
        await this.#sleep(Math.random() * Math.min(maxBackoffMs, 50 * 2 ** failures), { isDeaf: true });
      }
    }
  }

  async #readToEnd(): Promise<void> {
    for (;;) {
      this.#isRung = false;
      const { events, prunedThrough } = await readNext(this.#pool, this.#position, batchSize);
      this.#lastReadAt = performance.now();
      if (prunedThrough > this.#position) {
        this.#restart((await readExtent(this.#pool)).head, 'the log was pruned past this node');
        return;
      }
      const last = events.at(-1);
      if (last !== undefined) {
        await this.#reader.publish(events);
        this.#position = last.id;
      }
      if (events.length < batchSize) this.#noteEnd();
      this.#release(({ place }) => this.#position >= place);
      if (this.#isClosed || (events.length < batchSize && !this.#isRung)) return;
    }
  }

  #noteEnd(): void {
    const wasCurrent = this.isCurrent;
    this.#atEndAt = performance.now();
    if (wasCurrent) return;
    this.#report('info', 'the event feed can read the log again');
    this.#reader.resume();
  }

  #release(isThere: (waiter: Waiter) => boolean): void {
    for (const waiter of this.#toCatchUp) {
      if (!isThere(waiter)) continue;
      this.#toCatchUp.delete(waiter);
      waiter.resolve();
    }
  }

  /** After an outage: checks that the history is the same and still holds every event that was read. */
  async #checkHistory(): Promise<void> {
    this.#mustCheckHistory = false;
    const epoch = await readEpoch(this.#pool);
    const { head, isKnown } = await readLogPlace(this.#pool, this.#position);
    if (epoch !== this.#epoch || !isKnown) {
      this.#epoch = epoch;
      this.#restart(head, 'the database has a different history than before');
    }
  }

  #restart(head: bigint, reason: string): void {
    this.#report('warn', 'the event feed starts over', { reason });
    this.#position = head;
    this.#reader.restart();
    this.#release(() => true);
  }

  /** Sleeps until the doorbell rings, for `ms` at most. A deaf sleep ignores the doorbell. */
  #sleep(ms: number, { isDeaf = false } = {}): Promise<void> {
    if (this.#isClosed || (this.#isRung && !isDeaf)) return Promise.resolve();
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
