import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { inject } from 'vitest';
import { type Overrides, start } from '../../src/app.ts';
import { readConfig } from '../../src/config.ts';
import { generateKeySet } from '../../src/account/token-key.ts';
import { createLog } from '../../src/logger.ts';
import { ask, post, type TestClient } from './client.ts';
import { createDatabase, type TestDatabase } from './database.ts';
import { atFileEnd } from './file-end.ts';
import { currentExchange } from './nodes.ts';

/**
 * A complete server that listens on its own port. Closing the server drops its database, unless the server was started
 * on an existing one.
 */
export type TestServer = AsyncDisposable &
  TestClient & {
    url: string;
    /** The URL of its metrics, if METRICS_PORT is set. */
    metricsUrl: string | null;
    database: TestDatabase;
    /** The folder where it stores its files. The nodes of one system share this folder. */
    dataDir: string;
    /** The signing keys of its access tokens. All nodes of one system share these keys. */
    jwtKeys: string;
    /** Runs statements without the server, as psql would. */
    sql: TestDatabase['sql'];
    /** Its log so far, as parsed lines. */
    log: Record<string, unknown>[];
    close: () => Promise<void>;
  };

/** The differences between a test’s server and a server with default settings. */
export type TestServerOptions = {
  /** An existing database, e.g. that of another server. The two servers are then nodes of one system. */
  database?: TestDatabase;
  /** Settings, by their names in the environment. */
  env?: Record<string, string>;
  overrides?: Overrides;
};

/** Settings for tests in which more requests than usual must reach the database at the same time. */
export const racing = { DATABASE_POOL_SIZE: '10' };

/** The nodes of one system share these keys. */
const accessTokenKeys = generateKeySet();

const dataDirs = new Map<string, string>();

/** Returns the data folder of the nodes that use a database. */
async function dataDirOf({ url }: TestDatabase): Promise<string> {
  const known = dataDirs.get(url);
  if (known !== undefined) return known;
  const folder = await mkdtemp(join(inject('dataFolder'), 'data-'));
  dataDirs.set(url, folder);
  return folder;
}

/**
 * Starts a server, and closes it after the file's last test, or earlier when the test calls `close` or uses `await
 * using`.
 */
export async function startServer(options: TestServerOptions = {}): Promise<TestServer> {
  const server = await openServer(options);
  atFileEnd(server.close);
  return server;
}

/** Starts a server that the caller must close. A second call to `close` waits for the first. */
export async function openServer(options: TestServerOptions): Promise<TestServer> {
  const database = options.database ?? (await createDatabase());
  const dataDir = await dataDirOf(database);
  const config = readConfig({
    DATABASE_URL: database.url,
    DATA_DIR: dataDir,
    JWT_KEYS: accessTokenKeys,
    PORT: '0',
    // Tests sign up many users from one address at the same time. Tests of the rate limits turn the limits on.
    RATE_LIMITS: 'off',
    ...currentExchange().env,
    // Each new connection to PostgreSQL spends about 100 ms of CPU time on loading its catalog and planning statements.
    DATABASE_POOL_SIZE: '4',
    ...options.env,
  });
  const { log, lines } = captureLog(config.logLevel);
  const cheapHashes = { memoryKiB: 1_024, iterations: 1, parallelism: 1 };
  const overrides = { ...currentExchange().overridesFor(database.url), ...options.overrides };
  const app = await start(config, log, { argon2: cheapHashes, ...overrides });
  const { url, metricsUrl } = app;
  // Test files and everything that they refer to stay in memory until the end of the run. That is 6 MB for each server
  // that is not released.
  let running: typeof app | undefined = app;
  let closing: Promise<void> | undefined;
  const close = () =>
    (closing ??= (async () => {
      await running?.close();
      running = undefined;
      if (options.database !== undefined) return;
      await database.drop();
      await rm(dataDir, { recursive: true, force: true });
    })());
  return {
    url,
    metricsUrl,
    database,
    dataDir,
    jwtKeys: accessTokenKeys,
    sql: database.sql,
    log: lines,
    post: (document, variables, request) => post(url, document, variables, request),
    ask: (document, variables, token) => ask(url, document, variables, token),
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** Returns the warnings and errors in the server's log, except the one that says that the server sends no mail. */
export function complaintsOf({ log }: TestServer): TestServer['log'] {
  return log.filter(
    ({ level, msg }) => (level === 'warn' || level === 'error') && !String(msg).startsWith('SMTP_URL is not set'),
  );
}

function captureLog(level: string) {
  const lines: Record<string, unknown>[] = [];
  const stream = new PassThrough();
  stream.setEncoding('utf8').on('data', (line: string) => void lines.push(JSON.parse(line)));
  return { log: createLog(level, stream), lines };
}
