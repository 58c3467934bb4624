import pg from 'pg';
import { Connection, type SilentConnection } from './connection.ts';
import { prepareSession, type SessionOptions } from './session-setting.ts';

/** In ms: how long connecting may take, and how long a request waits for a connection. */
const limits = { connectMs: 5_000, waitMs: 10_000 };
/** A connection that can't write is kept this long, for reads: by then the next one may lead to a primary. */
const readOnlyLifetimeMs = 1_000;
/** How soon a connection more is tried after PostgreSQL has refused one. */
const growMs = 5_000;
/** When the pool closes, connections that are still in use get this long. */
const closeMs = 3_000;

type Connected = (
  error: Error | undefined,
  client: pg.PoolClient | undefined,
  release: (release?: unknown) => void,
) => void;

export type PoolOptions = {
  url: string;
  maxConnections: number;
  /** Null behind a transaction pooler, which shares connections out anew for each transaction: the operator's settings hold. */
  session: SessionOptions | null;
  /** A connection on which a statement has no answer after this long is given up. */
  limitMs: number;
  /** Told of what concerns no statement in particular. */
  onError: (error: Error) => void;
};

/**
 * A pool that outlives what happens to its connections: one that goes silent takes the idle ones of its age along; with
 * fewer than it wants (53300), requests wait for those that there are; one that can't write is soon replaced.
 */
export class ConnectionPool extends pg.Pool {
  readonly #onError: (error: Error) => void;
  readonly #maxConnections: number;
  readonly #idle = new Set<Connection>();
  readonly #open = new Set<Connection>();
  readonly #retired = new WeakSet<pg.Client>();
  #growth: NodeJS.Timeout | null = null;

  constructor({
    url,
    maxConnections,
    session,
    limitMs,
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
    // The driver waits for it before it hands the connection out.
    Object.assign(this.options, { onConnect: (client: Connection) => this.#prepare(client, session) });
    this.#onError = onError;
    this.#maxConnections = maxConnections;
    // The pool has dropped it already, and opens another when one is needed.
    this.on('error', (error, client) => {
      if (!this.#retired.has(client)) onError(error);
    });
    this.on('connect', (client) => this.#watch(client as unknown as Connection));
    this.on('acquire', (client) => void this.#idle.delete(client as unknown as Connection));
    this.on('release', (_, client) => this.#takeBack(client));
    this.on('remove', (client) => this.#forget(client as unknown as Connection));
  }

  /** Waits for a connection, up to 10 s; longer by at most 5 s when PostgreSQL gives none at all. */
  override connect(): Promise<pg.PoolClient>;
  override connect(callback: Connected): void;
  override connect(callback?: Connected): Promise<pg.PoolClient> | undefined {
    const deadline = performance.now() + limits.connectMs;
    if (callback !== undefined) {
      this.#connect(callback, deadline);
      return undefined;
    }
    return new Promise((resolve, reject) => {
      this.#connect((error, client) => {
        if (client === undefined) reject(error ?? new Error('the pool has no connection'));
        else resolve(client);
      }, deadline);
    });
  }

  /** Gives one connection up for a more important one, when PostgreSQL has no more to give. */
  spareOne(): void {
    this.#limitTo(this.totalCount - 1);
    const [idle] = this.#idle;
    if (idle !== undefined) this.#drop(idle);
  }

  /** Waits for what is under way, up to 3 s. */
  override async end(): Promise<void> {
    if (this.#growth !== null) clearTimeout(this.#growth);
    const cutOff = setTimeout(() => {
      for (const connection of this.#open) connection.destroy(new Error('the server stops'));
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
      // While others are open, this one now waits for the first that is released.
      if (this.totalCount > 0) this.#connect(callback, deadline);
      else setTimeout(() => this.#connect(callback, deadline), 50 + Math.random() * 200);
    });
  }

  /** From here on no more connections than PostgreSQL gives; now and then one more is tried. */
  #limitTo(count: number): void {
    const max = Math.max(1, count);
    if (max < this.options.max) {
      if (this.options.max === this.#maxConnections) {
        const given = `PostgreSQL gives this node ${max} connections, and DATABASE_POOL_SIZE is ${this.#maxConnections}`;
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
    if (isReadOnly) setTimeout(() => this.#retire(connection), readOnlyLifetimeMs).unref();
  }

  #watch(connection: Connection): void {
    this.#open.add(connection);
    connection.on('end', () => this.#forget(connection));
    connection.once('silent', (error: SilentConnection) => {
      this.#onError(error);
      // What has not answered since the question was put may have gone the same way, without anyone to find out.
      for (const other of this.#idle) if (other.heardAt < connection.askedAt) this.#drop(other);
    });
  }

  #retire(connection: Connection): void {
    if (this.#idle.has(connection)) this.#drop(connection);
    else this.#retired.add(connection);
  }

  #takeBack(client: pg.PoolClient): void {
    const connection = client as unknown as Connection;
    // The driver does not take back one that has been ended.
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
  }
}

/** The pool gives every connection the options that are its own. */
class PooledConnection extends Connection {
  constructor(config: pg.ClientConfig = {}) {
    super({ ...config, connectionTimeoutMillis: limits.connectMs });
  }
}

/** 53300: as many connections as the server, the database or the role may have. */
function isRefusedForNumber(error: Error | undefined): boolean {
  return error !== undefined && 'code' in error && error.code === '53300';
}
