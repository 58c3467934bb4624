import { randomBytes } from 'node:crypto';
import type { Report } from '../core/report.ts';
import { Connection } from '../postgres/connection.ts';
import { idleInTransactionMs, prepareSession } from '../postgres/session-setting.ts';
import { sqlStateOf } from '../postgres/sql-state.ts';

/** What each channel's payload goes to. */
export type Bells = Record<string, (payload: string) => void>;

const backoffMs = { least: 100, most: 5_000 };
/**
 * In ms: how often it rings itself, how long PostgreSQL has to answer and the ring to come back, and how soon it asks again
 * when the queue of notifications is full.
 */
const times = { ring: 10_000, answer: 4_000, fullQueue: 2_000, connect: 5_000 };

export type DoorbellOptions = {
  /** Leads to the primary itself: LISTEN passes neither a transaction pooler nor a standby. */
  url: string;
  bells: Bells;
  /** Called when it listens, for what was missed, and when it does not any more. */
  onChange: (isConnected: boolean) => void;
  /** PostgreSQL has no connection left for it. */
  onRefused?: () => void;
  report: Report;
};

/**
 * LISTENs on a connection of its own and rings a bell for each notification. A ring may be lost: it only saves its
 * receiver from waiting for the next poll. It rings itself every 10 s, on a channel of its own, for a connection that has
 * gone silent says nothing. When the ring does not come back within 4 s, or the connection breaks, it connects again, with
 * exponential back-off and full jitter.
 */
export class Doorbell {
  readonly #options: DoorbellOptions;
  readonly #ownChannel = `parley_ring_${randomBytes(8).toString('hex')}`;
  #client: Connection | null = null;
  #timer: NodeJS.Timeout | null = null;
  #attempts = 0;
  #onOwnRing: () => void = () => undefined;
  /** What has been reported and still holds: said once. */
  #isMute = false;
  #isQueueFull = false;
  #isClosed = false;

  constructor(options: DoorbellOptions) {
    this.#options = options;
  }

  /** Connects; resolves once it listens or once the first attempt has failed (it goes on trying). */
  async open(): Promise<void> {
    const client = new Connection({
      connectionString: this.#options.url,
      connectionTimeoutMillis: times.connect,
      query_timeout: times.answer,
      application_name: 'parley doorbell',
    });
    this.#client = client;
    client.on('error', (error) => this.#reconnect(client, error));
    client.on('end', () => this.#reconnect(client, new Error('the connection has ended')));
    try {
      await client.connect();
      await prepareSession(client, { statementMs: times.answer, idleInTransactionMs, overridesReadOnly: false });
      await this.#listen(client);
      this.#options.onChange(true);
      void this.#ring(client);
    } catch (error) {
      if (sqlStateOf(error) === '53300') this.#options.onRefused?.();
      this.#reconnect(client, error);
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    await this.#client?.end().catch(() => undefined);
  }

  async #listen(client: Connection): Promise<void> {
    client.on('notification', ({ channel, payload }) => {
      if (channel === this.#ownChannel) this.#onOwnRing();
      else this.#options.bells[channel]?.(payload ?? '');
    });
    const channels = [...Object.keys(this.#options.bells), this.#ownChannel];
    await client.query(channels.map((channel) => `listen ${channel}`).join('; '));
  }

  /** Rings itself, now and from here on: a pooler takes LISTEN without complaint, too, and delivers nothing. */
  async #ring(client: Connection): Promise<void> {
    const { promise: isHeard, resolve } = Promise.withResolvers<boolean>();
    this.#onOwnRing = () => resolve(true);
    const timeout = setTimeout(() => resolve(false), times.answer).unref();
    try {
      const { rows } = await client.query<{ isRung: boolean }>(`select ring_bell($1, '') as "isRung"`, [
        this.#ownChannel,
      ]);
      // The answer shows that the connection is there, and asking has taken from the queue what can be taken.
      const isRung = rows[0]?.isRung === true;
      this.#tellOfQueue(!isRung);
      if (isRung && !(await isHeard)) {
        this.#tellOfSilence();
        this.#reconnect(client, new Error(`its ring did not come back within ${times.answer} ms`));
        return;
      }
      if (isRung) this.#tellOfSuccess();
      if (client !== this.#client || this.#isClosed) return;
      this.#timer = setTimeout(() => void this.#ring(client), isRung ? times.ring : times.fullQueue).unref();
    } catch (error) {
      this.#reconnect(client, error);
    } finally {
      clearTimeout(timeout);
    }
  }

  #tellOfSuccess(): void {
    if (this.#attempts > 0) this.#options.report('info', 'LISTEN connection restored');
    this.#attempts = 0;
    this.#isMute = false;
  }

  #tellOfSilence(): void {
    if (this.#isMute || this.#isClosed) return;
    this.#isMute = true;
    this.#options.report(
      'error',
      'NOTIFY does not come through: DATABASE_DIRECT_URL must lead past any transaction pooler to the primary',
    );
  }

  #tellOfQueue(isFull: boolean): void {
    if (isFull && !this.#isQueueFull) {
      this.#options.report(
        'warn',
        "PostgreSQL's queue of notifications is full, for a session listens in a transaction that does not end: events come by the poll, once a second, and no one sees who types",
      );
    }
    this.#isQueueFull = isFull;
  }

  #reconnect(client: Connection, error: unknown): void {
    if (client !== this.#client || this.#isClosed) return;
    if (this.#attempts === 0)
      this.#options.report('warn', 'LISTEN connection lost; falling back to polling', { error });
    this.#client = null;
    if (this.#timer !== null) clearTimeout(this.#timer);
    client.removeAllListeners('end');
    client.end().catch(() => undefined);
    this.#options.onChange(false);
    const waitMs = Math.random() * Math.min(backoffMs.most, backoffMs.least * 2 ** this.#attempts);
    this.#attempts += 1;
    this.#timer = setTimeout(() => void this.open(), waitMs);
  }
}
