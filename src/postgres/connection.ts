import pg from 'pg';
import { spanNow, type SpanOptions } from '../core/trace.ts';
import { leaveRowsUndecoded, type MessageTarget } from './data-row.ts';
import { NamedStatement, type NamedQuery } from './named-statement.ts';
import { startupSettings } from './session-setting.ts';

/** Delay of the socket's first keep-alive probe, in ms. If packets are dropped, an idle connection fails 15 s later. */
const keepAliveMs = 5_000;
/** How long a graceful close of a connection may take, in ms. */
const goodbyeMs = 2_000;

/**
 * A statement with its own time limit, in ms, which is shorter than the connection's. The connection is dropped when
 * the limit is exceeded.
 */
export type LimitedQuery = pg.QueryConfig & { limitMs: number };

/** A statement that raises the time limit of later statements, in ms, until the transaction ends. */
export type RaisingQuery = pg.QueryConfig & { raisedLimitMs: number };

type Callback = (error: Error | null | undefined, result?: unknown) => void;

/** PostgreSQL did not answer in time. The code counts as transient, both here and in Prisma's adapter. */
export class SilentConnection extends Error {
  readonly code = 'ETIMEDOUT';
  readonly syscall = 'read';
  readonly errno = -110;

  constructor(limitMs: number) {
    super(`PostgreSQL did not answer a statement within ${limitMs} ms; the connection was closed`);
  }
}

/**
 * A connection that never waits indefinitely for an answer. A statement that gets no answer within `limitMs` fails with
 * SilentConnection, and the connection is destroyed. A timeout is the only sign that a firewall has forgotten the
 * connection or that its host is gone. The connection is also destroyed when PostgreSQL refuses a write (25006),
 * because its server is then probably not (or no longer) the primary.
 */
export class Connection extends pg.Client {
  /** When the latest statement was sent, and when PostgreSQL last answered, in ms of `performance.now()`. */
  askedAt = 0;
  heardAt = performance.now();
  readonly #limitMs: number;
  /** The limit for statements of the current transaction, if the transaction has raised it. */
  #raisedLimitMs: number | null = null;

  /** `query_timeout` is the limit for each statement, in ms; if it is absent, there is no limit. */
  constructor(config: pg.ClientConfig = {}) {
    const { query_timeout: limitMs = 0, ...rest } = config;
    super({ keepAlive: true, keepAliveInitialDelayMillis: keepAliveMs, ...rest });
    this.#limitMs = limitMs;
    leaveRowsUndecoded(this.connection as unknown as MessageTarget);
    // If a connection breaks while in use, its statement rejects. Without a listener, the `error` event would end the
    // process.
    this.on('error', () => undefined);
    // `I` is the status that PostgreSQL reports outside a transaction.
    this.connection.on('readyForQuery', ({ status }: { status: string }) => {
      if (status === 'I') this.#raisedLimitMs = null;
    });
    // Assigned instead of overridden, because a single override can't cover the driver's many overloads of this method.
    const ask = this.query.bind(this) as (...args: unknown[]) => unknown;
    this.query = ((...args: unknown[]) => this.#ask(ask, args)) as typeof this.query;
  }

  /** Called by the driver. Adds settings that a client may send even to PgBouncer. */
  getStartupConf(): Record<string, string> {
    const driver = pg.Client.prototype as unknown as { getStartupConf: (this: pg.Client) => Record<string, string> };
    return { ...driver.getStartupConf.call(this), ...startupSettings };
  }

  /** Closes the connection gracefully, or cuts it off if that takes too long. */
  override end(): Promise<void>;
  override end(callback: (error: Error) => void): void;
  override end(callback?: (error: Error) => void): Promise<void> | undefined {
    setTimeout(() => this.destroy(), goodbyeMs).unref();
    if (callback === undefined) return super.end();
    super.end(callback);
    return undefined;
  }

  /** Cuts the connection off without a closing message, which might never arrive. */
  destroy(error?: Error): void {
    this.connection.stream.destroy(error);
  }

  #ask(ask: (...args: unknown[]) => unknown, args: unknown[]): unknown {
    this.#raisedLimitMs = readNumber(args[0], 'raisedLimitMs') ?? this.#raisedLimitMs;
    const settle = this.#watch(readNumber(args[0], 'limitMs') ?? this.#raisedLimitMs ?? this.#limitMs, args[0]);
    const at = args.findLastIndex((arg) => typeof arg === 'function');
    const callback = args[at] as Callback | undefined;
    if (isNamed(args[0])) return this.#askNamed(ask, { query: args[0], settle, callback });
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

  #askNamed(
    ask: (...args: unknown[]) => unknown,
    {
      query,
      settle,
      callback,
    }: { query: NamedQuery; settle: (error?: unknown) => void; callback: Callback | undefined },
  ): Promise<unknown> | undefined {
    const parserOf = (typeId: number) => this.getTypeParser(typeId, 'text') as (text: string) => unknown;
    const statement = new NamedStatement(query, parserOf);
    if (callback !== undefined) {
      ask(statement, (error: Error | null, result: unknown) => {
        settle(error);
        callback(error, result);
      });
      return undefined;
    }
    return new Promise((resolve, reject) => {
      statement.callback = (error, result) => {
        settle(error);
        if (error === null) resolve(result);
        else reject(error);
      };
      ask(statement);
    });
  }

  /** Starts a statement's timer and, in a traced request, its span. Returns the function that stops both. */
  #watch(limitMs: number, query: unknown): (error?: unknown) => void {
    this.askedAt = performance.now();
    const span = spanNow()?.child(...describeStatement(query));
    let isOver = false;
    const expire = () => {
      // If this process was blocked, the answer may already be in the socket, so this code reads it before giving up.
      setImmediate(() => {
        if (!isOver) this.destroy(new SilentConnection(limitMs));
      });
    };
    const timer = limitMs === 0 ? undefined : setTimeout(expire, limitMs);
    return (error) => {
      isOver = true;
      clearTimeout(timer);
      if (error != null) span?.fail(error instanceof pg.DatabaseError ? (error.code ?? 'error') : 'error');
      span?.end();
      if (error instanceof SilentConnection) this.emit('silent', error);
      else this.heardAt = performance.now();
      if (isReadOnlyRefusal(error)) this.destroy();
    };
  }
}

/** Whether this is a named statement that returns its rows as objects. */
function isNamed(query: unknown): query is NamedQuery {
  if (typeof query !== 'object' || query === null || !('name' in query) || !('values' in query)) return false;
  return typeof query.name === 'string' && query.name !== '' && Array.isArray(query.values) && !('rowMode' in query);
}

function readNumber(query: unknown, name: 'limitMs' | 'raisedLimitMs'): number | undefined {
  const value: unknown = typeof query === 'object' && query !== null ? Reflect.get(query, name) : undefined;
  return typeof value === 'number' ? value : undefined;
}

const maxStatementLength = 2_000;

/** Returns the span of a statement. All values are parameters, so the text of the statement reveals no values. */
function describeStatement(query: unknown): [string, SpanOptions] {
  const { name, text } =
    typeof query === 'object' && query !== null
      ? (query as { name?: unknown; text?: unknown })
      : { name: undefined, text: query };
  const sql = typeof text === 'string' ? text.slice(0, maxStatementLength) : '';
  const word = /\w+/.exec(sql)?.[0]?.toLowerCase() ?? 'statement';
  const attributes = { 'db.system.name': 'postgresql', 'db.query.text': sql };
  return [typeof name === 'string' && name !== '' ? name : word, { kind: 'CLIENT', attributes }];
}

/** 25006: a write on a standby, or on a database that defaults to read-only. */
function isReadOnlyRefusal(error: unknown): boolean {
  return error instanceof pg.DatabaseError && error.code === '25006';
}
