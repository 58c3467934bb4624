import { randomUUID } from 'node:crypto';
import type { Db, Queryable } from './client.ts';

/**
 * Times in ms. The holder renews a lease every `renewal`. If it has not renewed the lease for `expiry`, another holder
 * may take it.
 */
export type LeaseTimes = { expiry: number; renewal: number };

const defaultTimes: LeaseTimes = { expiry: 5_000, renewal: 1_000 };
/** How often a process that waits for a lease tries again, in ms. */
const retryMs = 100;

/** The holder has lost its lease. Another holder may have it by now, so nothing more may be written under it. */
export class LeaseLost extends Error {}

/** The purpose of a lease, and how long the lease lasts. */
export type LeaseOptions = {
  /** The name of the exclusive work, such as `consumer:mail`; at most 200 bytes. */
  name: string;
  times?: LeaseTimes;
  /**
   * A UUID of this holder. The holder may take its own lease again before the lease expires. By default, each lease has
   * a new holder.
   */
  holder?: string;
  /** Called one or more times while another holder waits for the lease, and once before this process stops. */
  onWanted?: () => unknown;
};

/**
 * The leases that this process takes. A lease gives one process among all nodes the exclusive right to do something. A
 * holder keeps its lease by renewing it and gives it up with `release`. If the holder is killed, another node takes the
 * lease within seconds. Only the database's clock determines whether a lease has expired.
 *
 * A holder that is paused, or cut off from the database, may still believe that it holds the lease
 * (Kleppmann, "How to do distributed locking", 2016). Therefore, every write under a lease calls `fence` in the same
 * transaction.
 */
export class Leases {
  readonly #db: Pick<Db, 'pool'>;
  readonly #held = new Set<Lease>();

  constructor(db: Pick<Db, 'pool'>) {
    this.#db = db;
  }

  /**
   * Takes a lease if it is free, has expired or already belongs to the same holder. Returns null if another holder has
   * it.
   */
  async take(options: LeaseOptions): Promise<Lease | null> {
    const { name, times = defaultTimes, holder = randomUUID() } = options;
    const { rows } = await this.#db.pool.query<{ token: bigint }>({
      name: 'take_lease',
      text: `insert into leases as l (name, holder, until)
      values ($1, $2, clock_timestamp() + $3 * interval '1 ms')
      on conflict (name) do update
      set holder = excluded.holder, until = excluded.until, token = default, is_wanted = false
      where l.until < clock_timestamp() or l.holder = excluded.holder
      returning l.token`,
      values: [name, holder, times.expiry],
    });
    const token = rows[0]?.token;
    if (token === undefined) return null;
    const lease = new Lease({ ...options, times, token, db: this.#db, onEnd: () => this.#held.delete(lease) });
    this.#held.add(lease);
    return lease;
  }

  /**
   * Like `take`, but asks the current holder to release the lease and waits for it. Returns null after `patienceMs`, or
   * when the signal aborts.
   */
  async wait(
    options: LeaseOptions,
    { patienceMs, signal }: { patienceMs: number; signal: AbortSignal },
  ): Promise<Lease | null> {
    const { name } = options;
    const deadline = performance.now() + patienceMs;
    for (;;) {
      const lease = await this.take(options);
      if (lease !== null) return lease;
      await this.#db.pool.query('update leases set is_wanted = true where name = $1 and not is_wanted', [name]);
      // Notify a holder on this node immediately, without waiting for its next renewal.
      for (const each of this.#held) if (each.name === name) each.askToRelease();
      if (signal.aborted || performance.now() > deadline) return null;
      await new Promise((resolve) => setTimeout(resolve, retryMs));
    }
  }

  /** Asks all holders in this process to release their leases, before the process stops. */
  askToRelease(): void {
    for (const lease of this.#held) lease.askToRelease();
  }
}

/**
 * Deletes up to `limit` leases that expired more than ten minutes ago, and everything that depends on them. Returns how
 * many leases it deleted. A holder that takes its lease again within those ten minutes finds everything unchanged.
 */
export async function pruneLeases({ pool }: Pick<Db, 'pool'>, limit: number): Promise<number> {
  const { rowCount } = await pool.query(
    `delete from leases where name in (
      select name from leases where until < statement_timestamp() - interval '10 minutes' limit $1 for update skip locked
    )`,
    [limit],
  );
  return rowCount ?? 0;
}

/** A lease that this process holds. */
export class Lease {
  readonly name: string;
  /** Increases each time that the lease is taken. */
  readonly token: bigint;
  /**
   * Aborts with LeaseLost when another holder has the lease, or may have it because this process could not renew the
   * lease.
   */
  readonly signal: AbortSignal;
  readonly #options: LeaseOptions & { times: LeaseTimes; token: bigint; db: Pick<Db, 'pool'>; onEnd: () => void };
  readonly #lost = new AbortController();
  readonly #timer: NodeJS.Timeout;
  #renewedAt = performance.now();
  #renewal: Promise<void> | null = null;

  constructor(options: LeaseOptions & { times: LeaseTimes; token: bigint; db: Pick<Db, 'pool'>; onEnd: () => void }) {
    this.name = options.name;
    this.token = options.token;
    this.signal = this.#lost.signal;
    this.#options = options;
    this.#timer = setInterval(() => this.#keep(), options.times.renewal).unref();
  }

  /**
   * Renews the lease and ensures that no other process can take it until the transaction ends. Call this in the
   * transaction of every write that only the holder may make. Throws LeaseLost if another process has taken the lease;
   * roll back the transaction in that case.
   */
  async fence(client: Queryable): Promise<void> {
    const { rowCount } = await client.query({
      name: 'fence_lease',
      text: `update leases set until = clock_timestamp() + $3 * interval '1 ms' where name = $1 and token = $2`,
      values: [this.name, this.token, this.#options.times.expiry],
    });
    if (rowCount !== 1) throw this.#lose();
  }

  /**
   * Records which release the holder runs, identified by its newest migration. A migration that the holder's release
   * does not support then has to wait.
   */
  async nameRelease(release: string): Promise<void> {
    const values = [this.name, this.token, release];
    await this.#options.db.pool.query('update leases set release = $3 where name = $1 and token = $2', values);
  }

  /** Tells the code that holds the lease to release it. */
  askToRelease(): void {
    this.#options.onWanted?.();
  }

  /** Gives the lease up. Never rejects: if the database is unavailable, the lease simply expires. */
  async release(): Promise<void> {
    this.#end();
    await this.#renewal;
    const { pool } = this.#options.db;
    await pool.query('delete from leases where name = $1 and token = $2', [this.name, this.token]).catch(() => {});
  }

  #end(): void {
    clearInterval(this.#timer);
    this.#options.onEnd();
  }

  #lose(): LeaseLost {
    const error = new LeaseLost(`the lease ${this.name} is held by another process`);
    this.#end();
    this.#lost.abort(error);
    return error;
  }

  /** Renews the lease, or declares it lost if the renewal takes too long. */
  #keep(): void {
    const { expiry, renewal } = this.#options.times;
    // The lease could expire before the next check.
    if (performance.now() - this.#renewedAt > expiry - renewal) this.#lose();
    else this.#renewal ??= this.#renew().finally(() => (this.#renewal = null));
  }

  async #renew(): Promise<void> {
    const startedAt = performance.now();
    try {
      // Skips the row while a fenced transaction has it locked, because `fence` has already renewed the lease.
      const { rows } = await this.#options.db.pool.query<{ isWanted: boolean }>({
        name: 'renew_lease',
        text: `with free as (
          select name from leases where name = $1 and token = $2 for no key update skip locked
        ), renewed as (
          update leases l set until = clock_timestamp() + $3 * interval '1 ms' from free where l.name = free.name
        )
        select is_wanted as "isWanted" from leases where name = $1 and token = $2`,
        values: [this.name, this.token, this.#options.times.expiry],
      });
      const row = rows[0];
      if (row === undefined) return void this.#lose();
      this.#renewedAt = startedAt;
      if (row.isWanted) this.askToRelease();
    } catch {
      // The database may become available again before the lease expires.
    }
  }
}
