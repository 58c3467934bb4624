import { randomBytes } from 'node:crypto';
import type pg from 'pg';
import type { Report } from '../core/report.ts';
import { Connection } from '../postgres/connection.ts';
import { idleInTransactionMs, prepareSession } from '../postgres/session-setting.ts';
import { sqlStateOf } from '../postgres/sql-state.ts';

/** The handler for each channel, which receives the payload of every notification. */
export type ChannelHandlers = Record<string, (payload: string) => void>;

const backoffMs = { least: 100, most: 5_000 };
/**
 * In ms. `ring`: the interval at which the doorbell sends a test notification to itself. `answer`: the maximum time
 * that PostgreSQL may take to answer, and that a ring may take to arrive. `fullQueue`: how soon the doorbell rings
 * itself again when the notification queue is full.
 */
const times = { ring: 10_000, answer: 4_000, fullQueue: 2_000, connect: 5_000 };

/** The inputs that a node needs in order to listen for rings. */
export type DoorbellOptions = {
  /**
   * This URL must lead to the primary itself, because LISTEN works neither through a transaction pooler nor on a
   * standby.
   */
  url: string;
  handlers: ChannelHandlers;
  /**
   * Called with true when the doorbell is connected and, unless it is paused, listening, so that the receiver can catch
   * up. Called with false when the connection is lost or cannot be opened.
   */
  onChange: (isConnected: boolean) => void;
  /** Called when PostgreSQL has no free connection for the doorbell. */
  onRefused?: () => void;
  report: Report;
};

/**
 * Runs LISTEN on a separate connection and passes each notification to the handler for its channel. It does no harm if
 * a ring is lost, because a ring only saves the receiver from waiting for the next poll. Because a dead connection can
 * look like a quiet one, the doorbell rings itself every 10 s on a separate channel. If that ring does not arrive
 * within 4 s, or if the connection breaks, the doorbell reconnects with exponential back-off and full jitter.
 */
export class Doorbell {
  readonly #options: DoorbellOptions;
  readonly #ownChannel = `parley_ring_${randomBytes(8).toString('hex')}`;
  #client: Connection | null = null;
  /**
   * Settles when all statements so far have ended. pg sends one statement at a time, and from version 9 on, it will no
   * longer queue statements.
   */
  #sent: Promise<unknown> = Promise.resolve();
  #timer: NodeJS.Timeout | null = null;
  #attempts = 0;
  #onOwnRing: () => void = () => undefined;
  /** Problems that have been reported and still exist. Each problem is reported only once. */
  #isMute = false;
  #isQueueFull = false;
  #isPaused = false;
  #pauseCount = 0;
  #isListening = false;
  #isClosed = false;

  constructor(options: DoorbellOptions) {
    this.#options = options;
  }

  /**
   * Connects. Resolves when the doorbell is listening or the first attempt has failed. After a failure, the doorbell
   * keeps trying.
   */
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
    const prepared = this.#prepare(client);
    this.#sent = prepared.catch(() => undefined);
    try {
      await prepared;
      this.#options.onChange(true);
      void this.#ring(client);
    } catch (error) {
      if (sqlStateOf(error) === '53300') this.#options.onRefused?.();
      this.#reconnect(client, error);
    }
  }

  /** Whether the doorbell is known to be listening. */
  get isListening(): boolean {
    return this.#isListening;
  }

  /**
   * Stops listening, so that PostgreSQL has one fewer session to notify of every commit. Calls `onPaused` once
   * notifications have stopped arriving. Up to version 18, PostgreSQL wakes every listening session for each
   * notification, regardless of the channel.
   */
  pause(onPaused: () => void): void {
    this.#isPaused = true;
    this.#pauseCount += 1;
    this.#isListening = false;
    // If the connection is lost, the next connection does not listen either.
    this.#send('unlisten *').then(
      () => {
        if (this.#isPaused) onPaused();
      },
      () => undefined,
    );
  }

  /**
   * Starts listening again after `pause`. Calls `onListening` when the doorbell is listening, so that the caller can
   * catch up.
   */
  resume(onListening: () => void): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    const client = this.#client;
    // If there is no connection, the next connection listens, and `onChange` reports this.
    this.#send(this.#listenCommand()).then(
      () => {
        if (client !== this.#client || this.#isPaused) return;
        this.#isListening = true;
        onListening();
      },
      () => undefined,
    );
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    await this.#client?.end().catch(() => undefined);
  }

  async #prepare(client: Connection): Promise<void> {
    await client.connect();
    await prepareSession(client, { statementMs: times.answer, idleInTransactionMs, overridesReadOnly: false });
    client.on('notification', ({ channel, payload }) => {
      if (channel === this.#ownChannel) this.#onOwnRing();
      else this.#options.handlers[channel]?.(payload ?? '');
    });
    if (this.#isPaused) return;
    await client.query(this.#listenCommand());
    // Listening may have been paused in the meantime.
    this.#isListening = !this.#isPaused;
  }

  /**
   * Sends a statement once the earlier statements have ended, and returns its rows. Rejects if the connection is lost.
   */
  #send<Row extends pg.QueryResultRow>(text: string, values: string[] = []): Promise<Row[]> {
    const client = this.#client;
    const sent = this.#sent.then(async () => {
      if (client === null || client !== this.#client) throw new Error('The connection was lost.');
      return (await client.query<Row>(text, values)).rows;
    });
    this.#sent = sent.catch(() => undefined);
    return sent;
  }

  #listenCommand(): string {
    return [...Object.keys(this.#options.handlers), this.#ownChannel].map((channel) => `listen ${channel}`).join('; ');
  }

  /**
   * Rings itself, now and at intervals, because a pooler accepts LISTEN without complaint but then delivers no
   * notifications.
   */
  async #ring(client: Connection): Promise<void> {
    const pauseCount = this.#pauseCount;
    const { promise: isHeard, resolve } = Promise.withResolvers<boolean>();
    this.#onOwnRing = () => resolve(true);
    const timeout = setTimeout(() => resolve(false), times.answer).unref();
    try {
      const rows = await this.#send<{ isRung: boolean }>(`select ring_bell($1, '') as "isRung"`, [this.#ownChannel]);
      // An answer proves that the connection works. The statement has also removed from the queue all notifications
      // that could be removed.
      const isRung = rows[0]?.isRung === true;
      this.#tellOfQueue(!isRung);
      const canHear = !this.#isPaused && pauseCount === this.#pauseCount;
      if (isRung && canHear && !(await isHeard) && pauseCount === this.#pauseCount) {
        this.#tellOfSilence();
        this.#reconnect(client, new Error(`the doorbell's own ring did not arrive within ${times.answer} ms`));
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
      'NOTIFY does not get through: DATABASE_DIRECT_URL must bypass any transaction pooler and reach the primary',
    );
  }

  #tellOfQueue(isFull: boolean): void {
    if (isFull && !this.#isQueueFull) {
      this.#options.report(
        'warn',
        "PostgreSQL's notification queue is full, because a session listens in a transaction that does not end: events arrive by polling, once a second, and typing is not shown",
      );
    }
    this.#isQueueFull = isFull;
  }

  #reconnect(client: Connection, error: unknown): void {
    if (client !== this.#client || this.#isClosed) return;
    if (this.#attempts === 0)
      this.#options.report('warn', 'LISTEN connection lost; falling back to polling', { error });
    this.#client = null;
    this.#isListening = false;
    if (this.#timer !== null) clearTimeout(this.#timer);
    client.removeAllListeners('end');
    client.end().catch(() => undefined);
    this.#options.onChange(false);
    const waitMs = Math.random() * Math.min(backoffMs.most, backoffMs.least * 2 ** this.#attempts);
    this.#attempts += 1;
    this.#timer = setTimeout(() => void this.open(), waitMs);
  }
}
