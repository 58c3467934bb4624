import { AsyncResource } from 'node:async_hooks';
import pg from 'pg';
import { Connection, type SilentConnection } from './connection.ts';
import { prepareSession, type SessionOptions } from './session-setting.ts';

/** How long connecting may take, and how long a request may wait for a connection, in ms. */
const limits = { connectMs: 5_000, waitMs: 10_000 };
/** How long a read-only connection is kept in use, in ms. After that time, a new connection may lead to a primary. */
const readOnlyLifetimeMs = 1_000;
/** How long the pool waits, in ms, before it tries another connection after PostgreSQL has refused one. */
const growMs = 5_000;
/** How long a pool that is closing waits for connections that are in use, in ms. */
const closeMs = 3_000;

type Connected = (
  error: Error | undefined,
  client: pg.PoolClient | undefined,
  release: (release?: unknown) => void,
) => void;

/** The options of a pool. */
export type PoolOptions = {
  url: string;
  maxConnections: number;
  /**
   * Null behind a transaction pooler, because the pooler reassigns connections after each transaction. In that case,
   * the operator's settings apply.
   */
  session: SessionOptions | null;
  /** A connection is dropped if a statement on it has had no answer for this long, in ms. */
  limitMs: number;
  /**
   * Whether statements are traced. Each traced statement runs in the context of its request, even if it had to wait.
   */
  isTraced?: boolean;
  /** Receives errors that belong to no particular statement. */
  onError: (error: Error) => void;
};

/**
 * A pool that survives the failures of its connections. When one connection stops answering, the pool also drops those
 * idle connections that have been silent for at least as long. When PostgreSQL grants fewer connections than configured
 * (53300), requests wait for the existing connections. A read-only connection is replaced after a short time.
 */
export class ConnectionPool extends pg.Pool {
  readonly #onError: (error: Error) => void;
  readonly #maxConnections: number;
  readonly #isTraced: boolean;
  /** The connections on which PostgreSQL refused writes at the time when they were opened. */
  readonly #readOnly = new Set<Connection>();
  readonly #idle = new Set<Connection>();
  readonly #open = new Set<Connection>();
  readonly #retired = new WeakSet<pg.Client>();
  #growth: NodeJS.Timeout | null = null;

  constructor({
    url,
    maxConnections,
    session,
    limitMs,
    isTraced = false,
    onError,
    ...options
  }: PoolOptions & Pick<pg.PoolConfig, 'types'>) {
    const config: pg.PoolConfig = {
      ...options,
      connectionString: url,
      max: maxConnections,
      connectionTimeoutMillis: limits.waitMs,
      query_timeout: limitMs,
      application_name: 'parley',
      Client: PooledConnection,
    };
    super(config);
    // The driver awaits this function before it hands out the connection.
    Object.assign(this.options, { onConnect: (client: Connection) => this.#prepare(client, session) });
    this.#onError = onError;
    this.#maxConnections = maxConnections;
    this.#isTraced = isTraced;
    // The pool has already dropped the connection, and opens another one when necessary.
    this.on('error', (error, client) => {
      if (!this.#retired.has(client) && !this.ending) onError(error);
    });
    this.on('connect', (client) => this.#watch(client as unknown as Connection));
    this.on('acquire', (client) => void this.#idle.delete(client as unknown as Connection));
    this.on('release', (_, client) => this.#takeBack(client));
    this.on('remove', (client) => this.#forget(client as unknown as Connection));
  }

  /** Waits up to 10 s for a connection, or up to 15 s if PostgreSQL has refused one. */
  override connect(): Promise<pg.PoolClient>;
  override connect(callback: Connected): void;
  override connect(callback?: Connected): Promise<pg.PoolClient> | undefined {
    const deadline = performance.now() + limits.connectMs;
    if (callback !== undefined) {
      this.#connect(this.#isTraced ? AsyncResource.bind(callback) : callback, deadline);
      return undefined;
    }
    return new Promise((resolve, reject) => {
      this.#connect((error, client) => {
        if (client === undefined) reject(error ?? new Error('the pool has no connection'));
        else resolve(client);
      }, deadline);
    });
  }

  /**
   * Gives up one connection to make room for a more important one. Called when PostgreSQL grants no more connections.
   */
  spareOne(): void {
    this.#limitTo(this.totalCount - 1);
    const [idle] = this.#idle;
    if (idle !== undefined) this.#drop(idle);
  }

  /** Waits up to 3 s for connections that are in use, and then cuts them off. */
  override async end(): Promise<void> {
    if (this.#growth !== null) clearTimeout(this.#growth);
    const cutOff = setTimeout(() => {
      for (const connection of this.#open) connection.destroy(new Error('the server is stopping'));
    }, closeMs);
    await super.end();
    clearTimeout(cutOff);
  }

  #connect(callback: Connected, deadline: number): void {
    super.connect((error, client, release) => {
      if (!isRefusedForNumber(error) || performance.now() >= deadline || this.ending) {
        callback(error, client, release);
        return;
      }
      this.#limitTo(this.totalCount);
      // If the pool has open connections, this request now waits until one of them is released.
      if (this.totalCount > 0) this.#connect(callback, deadline);
      else setTimeout(() => this.#connect(callback, deadline), 50 + Math.random() * 200);
    });
  }

  /** Limits the pool to the number of connections that PostgreSQL grants, and periodically tries one more. */
  #limitTo(count: number): void {
    const max = Math.max(1, count);
    if (max < this.options.max) {
      if (this.options.max === this.#maxConnections) {
        const given = `PostgreSQL grants this pool only ${max} of the ${this.#maxConnections} connections that it may have`;
        this.#onError(new Error(`${given}: requests wait for those`));
      }
      this.options.max = max;
    }
    this.#growth ??= setTimeout(() => {
      this.#growth = null;
      this.options.max = Math.min(this.#maxConnections, this.options.max + 1);
      if (this.options.max < this.#maxConnections) this.#limitTo(this.options.max);
    }, growMs).unref();
  }

  async #prepare(connection: Connection, session: SessionOptions | null): Promise<void> {
    if (session === null) return;
    const { isReadOnly } = await prepareSession(connection, session);
    if (isReadOnly) {
      this.#readOnly.add(connection);
      setTimeout(() => this.#retire(connection), readOnlyLifetimeMs).unref();
    } else {
      // Writes are possible again, so no request should get a connection that still refuses them.
      for (const other of this.#readOnly) this.#retire(other);
    }
  }

  #watch(connection: Connection): void {
    this.#open.add(connection);
    connection.on('end', () => this.#forget(connection));
    connection.once('silent', (error: SilentConnection) => {
      this.#onError(error);
      // Idle connections that have not answered since the statement was sent may also be dead, even though they show no
      // sign of it.
      for (const other of this.#idle) if (other.heardAt < connection.askedAt) this.#drop(other);
    });
  }

  #retire(connection: Connection): void {
    if (this.#idle.has(connection)) this.#drop(connection);
    else this.#retired.add(connection);
  }

  #takeBack(client: pg.PoolClient): void {
    const connection = client as unknown as Connection;
    // The driver does not return a connection that has ended to the pool.
    if (this.#retired.has(client)) void connection.end();
    else this.#idle.add(connection);
  }

  #drop(connection: Connection): void {
    this.#retired.add(connection);
    this.#idle.delete(connection);
    connection.destroy();
  }

  #forget(connection: Connection): void {
    this.#idle.delete(connection);
    this.#open.delete(connection);
    this.#readOnly.delete(connection);
  }
}

/**
 * A connection with a separate timeout for connecting, because the pool would pass its own, longer timeout to the
 * connection.
 */
class PooledConnection extends Connection {
  constructor(config: pg.ClientConfig = {}) {
    super({ ...config, connectionTimeoutMillis: limits.connectMs });
  }
}

/** 53300: the connection limit of the server, the database or the role has been reached. */
function isRefusedForNumber(error: Error | undefined): boolean {
  return error !== undefined && 'code' in error && error.code === '53300';
}
