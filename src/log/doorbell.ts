import pg from 'pg';
import type { Report } from '../core/report.ts';

/** What each channel's payload goes to. */
export type Bells = Record<string, (payload: string) => void>;

const minBackoffMs = 100;
const maxBackoffMs = 5_000;
const probeTimeoutMs = 5_000;

/**
 * LISTENs on a connection of its own and rings a bell for each notification. A ring may be lost: it only saves its
 * hearer from waiting for the next poll. When the connection breaks it comes back by itself, with exponential back-off
 * and full jitter. `onChange` is called when it is connected, for what was missed, and when it is not any more.
 */
export class Doorbell {
  readonly #url: string;
  readonly #bells: Bells;
  readonly #onChange: (isConnected: boolean) => void;
  readonly #report: Report;
  #client: pg.Client | null = null;
  #retry: NodeJS.Timeout | null = null;
  #attempts = 0;
  #isClosed = false;

  /** `url` must lead to the primary itself: LISTEN passes neither a transaction pooler nor a standby. */
  constructor(options: { url: string; bells: Bells; onChange: (isConnected: boolean) => void; report: Report }) {
    this.#url = options.url;
    this.#bells = options.bells;
    this.#onChange = options.onChange;
    this.#report = options.report;
  }

  /** Connects; resolves once it listens or once the first attempt has failed (it goes on trying). */
  async open(): Promise<void> {
    const client = new pg.Client({
      connectionString: this.#url,
      keepAlive: true,
      connectionTimeoutMillis: 10_000,
      application_name: 'parley doorbell',
    });
    this.#client = client;
    client.on('error', () => this.#reconnect(client));
    client.on('end', () => this.#reconnect(client));
    try {
      await client.connect();
      await this.#listen(client);
      if (this.#attempts > 0) this.#report('info', 'the doorbell is connected again');
      this.#attempts = 0;
      this.#onChange(true);
    } catch (error) {
      if (!this.#isClosed) this.#report('warn', 'the doorbell is not connected', { error });
      this.#reconnect(client);
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    if (this.#retry !== null) clearTimeout(this.#retry);
    await this.#client?.end().catch(() => undefined);
  }

  /** Listens, and rings once to itself: a pooler in between takes LISTEN without complaint and delivers nothing. */
  async #listen(client: pg.Client): Promise<void> {
    const heard = new Promise<boolean>((resolve) => {
      const timeout = setTimeout(() => resolve(false), probeTimeoutMs).unref();
      client.once('notification', () => {
        clearTimeout(timeout);
        resolve(true);
      });
    });
    client.on('notification', ({ channel, payload }) => this.#bells[channel]?.(payload ?? ''));
    const channels = Object.keys(this.#bells);
    await client.query(channels.map((channel) => `listen ${channel}`).join('; '));
    await client.query(`notify ${channels[0]}`);
    void heard.then((isHeard) => {
      if (isHeard || client !== this.#client || this.#isClosed) return;
      this.#report(
        'error',
        'NOTIFY does not come through: DATABASE_DIRECT_URL must lead past any pooler to the primary',
      );
    });
  }

  #reconnect(client: pg.Client): void {
    if (client !== this.#client || this.#isClosed) return;
    this.#client = null;
    client.removeAllListeners('end');
    client.end().catch(() => undefined);
    this.#onChange(false);
    const backoffMs = Math.random() * Math.min(maxBackoffMs, minBackoffMs * 2 ** this.#attempts);
    this.#attempts += 1;
    this.#retry = setTimeout(() => void this.open(), backoffMs);
  }
}
