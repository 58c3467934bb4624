import { createServer } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import pg from 'pg';
import { pino } from 'pino';
import { describe, expect, inject, onTestFinished, test, vi } from 'vitest';
import { generateKeySet } from '../../src/account/token-key.ts';
import { start } from '../../src/app.ts';
import { readConfig } from '../../src/config.ts';
import { CannotStart } from '../../src/errors.ts';
import { atFileEnd } from '../support/file-end.ts';
import { copyCluster } from '../support/postgres.ts';
import { isPostgres, readPostmaster, removeDataDir, runServer } from '../support/server-process.ts';
import { startServer } from '../support/server.ts';

const jwtKeys = generateKeySet();
// Use a prepared cluster, because creating one takes most of the time of a first start.
const { directory: dataDir } = await copyCluster(inject('clusterFolder'), 'parley-main-');
atFileEnd(() => removeDataDir(dataDir));

// A busy machine takes a while to start whole servers.
vi.setConfig({ testTimeout: 60_000 });

describe('stopping', () => {
  test('SIGTERM stops the server and its PostgreSQL, with status 0', async () => {
    const server = runServer({ DATA_DIR: dataDir });
    await server.url;
    const postmaster = await readPostmaster(dataDir);
    expect(await isPostgres(postmaster)).toBe(true);
    server.kill('SIGTERM');
    expect((await server.ended).status).toBe(0);
    expect(await isPostgres(postmaster)).toBe(false);
  });
});

describe('refusing to start', () => {
  test('names all invalid settings together, with their expected values', async () => {
    const { status, output } = await runServer({ PORT: 'http', SERVE: 'web', LOG_LEVEL: 'loud' }).ended;
    expect(status).toBe(1);
    const lines = JSON.parse(output).msg.split('\n');
    expect(lines).toEqual([
      'The configuration is not valid:',
      '  PORT: an integer from 0 to 65535 (got "http")',
      '  LOG_LEVEL: trace, debug, info, warn, error, fatal or silent (got "loud")',
      '  SERVE: api, streams, or both, separated by a comma (got "web")',
    ]);
  });

  test('says how to create keys when DATABASE_URL is set without them', async () => {
    const { status, output } = await runServer({ DATABASE_URL: 'postgres://ada:lovelace@127.0.0.1/parley' }).ended;
    expect(status).toBe(1);
    expect(JSON.parse(output).msg).toContain(
      'JWT_KEYS: required with DATABASE_URL, because all nodes share the keys (got nothing; `npm run -s keys`',
    );
    expect(output).not.toContain('lovelace');
  });

  test('names a database that cannot be reached, without its password', async () => {
    const config = readConfig({ DATABASE_URL: 'postgres://ada:lovelace@127.0.0.1:1/parley', JWT_KEYS: jwtKeys });
    // As with every CannotStart, main.ts prints only the message.
    await expect(start(config, pino({ level: 'silent' }))).rejects.toEqual(
      new CannotStart("The database 127.0.0.1:1/parley can't be reached: connect ECONNREFUSED 127.0.0.1:1."),
    );
  });

  test('names a port that is taken', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    onTestFinished(() => void other.close());
    await once(other, 'listening');
    const { port } = other.address() as AddressInfo;
    await expect(startServer({ env: { PORT: String(port) } })).rejects.toThrow(
      `Cannot listen on HOST 127.0.0.1, PORT ${port}: listen EADDRINUSE`,
    );
  });
});

/** Retries the check until it succeeds. */
const eventually = (check: () => Promise<void>) => vi.waitFor(check, { timeout: 30_000, interval: 50 });

test('/readyz is 503 and says why while the database does not answer; /livez is 200 all the while', async () => {
  const { database, url } = await startServer();
  const name = new URL(database.url).pathname.slice(1);
  const readiness = async () => (await fetch(`${url}/readyz`)).json();
  await eventually(async () => expect(await readiness()).toEqual({ status: 'ok' }));

  await runMaintenance(`alter database ${name} allow_connections false`);
  await runMaintenance(`select pg_terminate_backend(pid) from pg_stat_activity where datname = '${name}'`);
  await vi.waitFor(async () =>
    expect(await readiness()).toMatchObject({ failed: expect.arrayContaining(['database']) }),
  );
  expect((await fetch(`${url}/readyz`)).status).toBe(503);
  expect((await fetch(`${url}/livez`)).status).toBe(200);

  await runMaintenance(`alter database ${name} allow_connections true`);
  await eventually(async () => expect(await readiness()).toEqual({ status: 'ok' }));
});

async function runMaintenance(statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: inject('postgresUrl') });
  await client.connect();
  await client.query(statement);
  await client.end();
}
