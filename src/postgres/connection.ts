import pg from 'pg';
import { startupSettings } from './session-setting.ts';

/** The socket's first keep-alive probe, in ms: where packets are dropped, an idle connection is found dead 15 s later. */
const keepAliveMs = 5_000;
/** How long a goodbye may take, in ms. */
const goodbyeMs = 2_000;

/** A statement that may take less than the connection's limit, in ms, before the connection is given up. */
export type LimitedQuery = pg.QueryConfig & { limitMs: number };

type Callback = (error: Error | null | undefined, result?: unknown) => void;

/** What PostgreSQL did not answer in time. Carries a code that counts as transient, here and in Prisma's adapter. */
export class SilentConnection extends Error {
  readonly code = 'ETIMEDOUT';
  readonly syscall = 'read';
  readonly errno = -110;

  constructor(limitMs: number) {
    super(`PostgreSQL did not answer a statement within ${limitMs} ms: the connection is given up`);
  }
}

/**
 * A connection that does not wait for ever. A statement that has no answer after `limitMs` fails with SilentConnection,
 * and the connection is destroyed: behind a firewall that has forgotten it, or a host that is gone, nothing else ever
 * tells. It is destroyed as well when PostgreSQL refuses a write (25006): then this is no primary, or not any more.
 */
export class Connection extends pg.Client {
  /** When the oldest statement that waits was sent, and when PostgreSQL last answered, in ms of `performance.now()`. */
  askedAt = 0;
  heardAt = performance.now();
  readonly #limitMs: number;

  /** `query_timeout` is the limit of each statement, in ms; without it there is none. */
  constructor(config: pg.ClientConfig = {}) {
    const { query_timeout: limitMs = 0, ...rest } = config;
    super({ keepAlive: true, keepAliveInitialDelayMillis: keepAliveMs, ...rest });
    this.#limitMs = limitMs;
    // A connection that breaks while it is in use: the statement's own error says so, and one without listener ends the process.
    this.on('error', () => undefined);
    // Assigned, for the driver's many forms of this method can't be overridden as one.
    const ask = this.query.bind(this) as (...args: unknown[]) => unknown;
    this.query = ((...args: unknown[]) => this.#ask(ask, args)) as typeof this.query;
  }

  /** Called by the driver. The settings that even PgBouncer takes from a client go along. */
  getStartupConf(): Record<string, string> {
    const driver = pg.Client.prototype as unknown as { getStartupConf: (this: pg.Client) => Record<string, string> };
    return { ...driver.getStartupConf.call(this), ...startupSettings };
  }

  /** Says goodbye; when that is not answered in time, the connection is cut off. */
  override end(): Promise<void>;
  override end(callback: (error: Error) => void): void;
  override end(callback?: (error: Error) => void): Promise<void> | undefined {
    setTimeout(() => this.destroy(), goodbyeMs).unref();
    if (callback === undefined) return super.end();
    super.end(callback);
    return undefined;
  }

  /** Cuts the connection off, without a goodbye that may never arrive. */
  destroy(error?: Error): void {
    this.connection.stream.destroy(error);
  }

  #ask(ask: (...args: unknown[]) => unknown, args: unknown[]): unknown {
    const settle = this.#watch(limitOf(args[0]) ?? this.#limitMs);
    const at = args.findLastIndex((arg) => typeof arg === 'function');
    const callback = args[at] as Callback | undefined;
    if (callback !== undefined) {
      return ask(
        ...args.with(at, (error: Error | null | undefined, result: unknown) => {
          settle(error);
          callback(error, result);
        }),
      );
    }
    const answer = ask(...args);
    if (answer instanceof Promise) answer.then(() => settle(), settle);
    return answer;
  }

  /** Begins a statement's time; the result ends it. */
  #watch(limitMs: number): (error?: unknown) => void {
    this.askedAt = performance.now();
    let isOver = false;
    const expire = () => {
      // A process that was held up may have the answer lying about, and gets to read it before this runs again.
      setImmediate(() => {
        if (!isOver) this.destroy(new SilentConnection(limitMs));
      });
    };
    const timer = limitMs === 0 ? undefined : setTimeout(expire, limitMs);
    return (error) => {
      isOver = true;
      clearTimeout(timer);
      if (error instanceof SilentConnection) this.emit('silent', error);
      else this.heardAt = performance.now();
      if (isReadOnlyRefusal(error)) this.destroy();
    };
  }
}

function limitOf(query: unknown): number | undefined {
  return typeof query === 'object' && query !== null && 'limitMs' in query ? Number(query.limitMs) : undefined;
}

/** 25006: a write on a standby, or where the default is not to write. */
function isReadOnlyRefusal(error: unknown): boolean {
  return error instanceof pg.DatabaseError && error.code === '25006';
}
