import type pg from 'pg';
import type { Report } from '../core/report.ts';
import type { NodeLease } from '../postgres/node-lease.ts';
import type { Listener } from './listener.ts';

/**
 * In ms. `flush`: how often arrivals and departures are written to the database. `grace`: a person who returns within
 * this time does not count as having left. `beat`: how often the node renews its lease and looks for dead nodes.
 * `expiry`: how long the lease lasts without renewal.
 */
export type AttendanceTimes = { flush: number; grace: number; beat: number; expiry: number };

/**
 * A node renews its lease every 5 s. If a node has not renewed its lease for 20 s, a live node removes it from the
 * database, and the people who had streams on no other node go offline. In total, this takes at most 25 s. A person
 * whose stream returns within 5 s does not count as having left.
 */
export const defaultAttendanceTimes: AttendanceTimes = { flush: 200, grace: 5_000, beat: 5_000, expiry: 20_000 };

/** The maximum number of sessions that are written to the database at a time. */
const maxTold = 2_000;
const maxFarewellMs = 1_000;

/**
 * A session with streams on this node. `leftAt` is when the last of its streams closed; null while a stream is open.
 */
type Presence = { userId: bigint; streamCount: number; leftAt: number | null };

/**
 * Records in the database, many sessions at a time, which sessions have a stream on this node. These records count for
 * as long as the node's lease is valid. The database computes each person's presence (`settle_presences`), because a
 * person's streams may be on several nodes. A node without streams also takes part, by removing dead nodes.
 */
export class Attendance {
  readonly #pool: pg.Pool;
  readonly #report: Report;
  readonly #times: AttendanceTimes;
  readonly #node: NodeLease;
  readonly #sessions = new Map<bigint, Presence>();
  /** The sessions that are not yet recorded in the database, and the sessions that no longer have a stream. */
  readonly #arrived = new Set<bigint>();
  readonly #leaving = new Set<bigint>();
  #timer: NodeJS.Timeout | null = null;
  #beatDueAt = 0;
  #work: Promise<void> = Promise.resolve();
  #isWorking = false;
  #hasFailed = false;

  constructor(options: {
    pool: pg.Pool;
    node: NodeLease;
    report: Report;
    attendanceTimes?: Partial<AttendanceTimes> | undefined;
  }) {
    this.#pool = options.pool;
    this.#node = options.node;
    this.#report = options.report;
    this.#times = { ...defaultAttendanceTimes, ...options.attendanceTimes };
  }

  /** Call this when a stream has opened. */
  arrive({ sessionId, userId }: Listener): void {
    let presence = this.#sessions.get(sessionId);
    if (presence === undefined) {
      presence = { userId, streamCount: 0, leftAt: null };
      this.#sessions.set(sessionId, presence);
      this.#arrived.add(sessionId);
    }
    presence.streamCount += 1;
    presence.leftAt = null;
    this.#leaving.delete(sessionId);
  }

  /** Call this when a stream has closed. */
  depart({ sessionId }: Listener): void {
    const presence = this.#sessions.get(sessionId);
    if (presence === undefined) return;
    presence.streamCount -= 1;
    if (presence.streamCount > 0) return;
    presence.leftAt = performance.now();
    this.#leaving.add(sessionId);
  }

  /** Starts writing to the database. */
  open(): void {
    this.#timer = setInterval(
      () => this.#do(() => this.#tell()),
      Math.min(this.#times.flush, this.#times.beat),
    ).unref();
    this.#do(() => this.#tell());
  }

  /**
   * Announces that this node is shutting down. A person who does not return on another node within the grace period
   * then goes offline. Waits at most 1 s for the database. If that is not enough, the other nodes notice the shutdown
   * when the lease expires.
   */
  async close(): Promise<void> {
    if (this.#timer !== null) clearInterval(this.#timer);
    const farewell = this.#work.then(() => this.#do(() => this.#leave())).then(() => this.#work);
    await Promise.race([farewell, new Promise((resolve) => setTimeout(resolve, maxFarewellMs).unref())]);
  }

  /** Runs one piece of work at a time. The next run does the work that this one could not do. Never rejects. */
  #do(work: () => Promise<void>): void {
    if (this.#isWorking) return;
    this.#isWorking = true;
    this.#work = work()
      .then(() => void (this.#hasFailed = false))
      .catch((error: unknown) => {
        if (!this.#hasFailed) this.#report('warn', 'presence updates are not reaching the database', { error });
        this.#hasFailed = true;
      })
      .finally(() => (this.#isWorking = false));
  }

  async #tell(): Promise<void> {
    if (performance.now() >= this.#beatDueAt) {
      await this.#beat();
      this.#beatDueAt = performance.now() + this.#times.beat;
    }
    await this.#flush();
  }

  async #flush(): Promise<void> {
    const latest = performance.now() - this.#times.grace;
    const arrived = [...this.#arrived].slice(0, maxTold);
    const departed = [...this.#leaving]
      .filter((id) => (this.#sessions.get(id)?.leftAt ?? latest) <= latest)
      .slice(0, maxTold);
    if (arrived.length === 0 && departed.length === 0) return;
    const people = [...arrived, ...departed].map((id) => this.#sessions.get(id)?.userId);
    const { rows } = await this.#pool.query<{ isKnown: boolean }>({
      name: 'attend',
      text: 'select attend($1, $2, $3, $4) as "isKnown"',
      values: [this.#node.name, arrived, departed, people],
    });
    for (const id of arrived) this.#arrived.delete(id);
    for (const id of departed) this.#forget(id);
    if (rows[0]?.isKnown === false) this.#tellAgain();
  }

  /** Forgets the session, unless a stream of the session opened while the database was being updated. */
  #forget(sessionId: bigint): void {
    if (this.#leaving.delete(sessionId)) this.#sessions.delete(sessionId);
    else this.#arrived.add(sessionId);
  }

  /**
   * Queues every session again, because this node was presumed dead, or because the database crashed and lost the
   * sessions.
   */
  #tellAgain(): void {
    for (const sessionId of this.#sessions.keys()) this.#arrived.add(sessionId);
  }

  async #leave(): Promise<void> {
    await this.#pool.query('update presence_nodes set left_at = clock_timestamp() where node = $1', [this.#node.name]);
  }

  async #beat(): Promise<void> {
    const { rows } = await this.#pool.query<{ isKnown: boolean }>({
      name: 'beat',
      text: 'select announce_node($1) as "isKnown"',
      values: [this.#node.name],
    });
    if (rows[0]?.isKnown === false) this.#tellAgain();
    // Dead nodes are not removed right after a database outage, because other nodes may be about to renew their leases.
    if (this.#node.isSettled) while (await this.#sweep());
  }

  async #sweep(): Promise<boolean> {
    const { rows } = await this.#pool.query<{ isMore: boolean }>({
      name: 'sweep',
      text: `select sweep_presences($1, $2 * interval '1 millisecond', $3 * interval '1 millisecond') as "isMore"`,
      values: [this.#node.name, this.#times.expiry, this.#times.grace],
    });
    return rows[0]?.isMore === true;
  }
}
