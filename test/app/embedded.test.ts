import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type pg from 'pg';
import { describe, expect, test, vi } from 'vitest';
import { addUser, countUsers, eventually, isReady } from '../support/embedded.ts';
import { connectTo, createDataDir, isPostgres, readPostmaster, runServer } from '../support/server-process.ts';

/** Inserts users one after another until the database goes away; resolves to how many inserts were acknowledged. */
async function insertUntilCutOff(sql: pg.Pool): Promise<number> {
  for (let count = 0; ; count++) {
    try {
      await addUser(sql, `user${count}`);
    } catch {
      return count;
    }
  }
}

// A busy machine takes a while to start whole servers.
vi.setConfig({ testTimeout: 60_000 });

describe('the embedded database recovers from earlier runs', () => {
  test('a killed server leaves a PostgreSQL behind; the next start takes it over with every row', async () => {
    const dataDir = await createDataDir();
    const first = runServer({ DATA_DIR: dataDir });
    await first.url;
    await addUser(await connectTo(dataDir), 'ada');
    const leftover = await readPostmaster(dataDir);
    first.kill('SIGKILL');
    await first.ended;
    expect(await isPostgres(leftover)).toBe(true);

    const second = runServer({ DATA_DIR: dataDir });
    expect(await isReady(await second.url)).toBe(true);
    expect(await countUsers(dataDir)).toBe(1);
    expect(await isPostgres(leftover)).toBe(false);
  });

  test('after everything was killed in the middle of writing, every committed row is there', async () => {
    const dataDir = await createDataDir();
    const first = runServer({ DATA_DIR: dataDir });
    await first.url;
    const sql = await connectTo(dataDir);
    await addUser(sql, 'ada');
    const inserting = insertUntilCutOff(sql);
    await eventually(async () => expect(await countUsers(dataDir)).toBeGreaterThan(20));
    first.kill('SIGKILL');
    process.kill(await readPostmaster(dataDir), 'SIGKILL');
    const committed = 1 + (await inserting);

    await runServer({ DATA_DIR: dataDir }).url;
    // The last one may have been committed although we never received the answer.
    expect([committed, committed + 1]).toContain(await countUsers(dataDir));
  });

  test('a PostgreSQL that dies under a running server is started again, on the same port', async () => {
    const dataDir = await createDataDir();
    const server = runServer({ DATA_DIR: dataDir });
    const url = await server.url;
    const sql = await connectTo(dataDir);
    await addUser(sql, 'ada');
    const killed = await readPostmaster(dataDir);
    process.kill(killed, 'SIGKILL');
    await server.said('PostgreSQL exited unexpectedly');
    await eventually(async () => expect(await isReady(url)).toBe(true));
    expect(await readPostmaster(dataDir)).not.toBe(killed);
    expect((await sql.query('select from users')).rowCount).toBe(1);
  });
});

test('the server works in a database of its own, as a role that is not a superuser', async () => {
  const dataDir = await createDataDir();
  await runServer({ DATA_DIR: dataDir }).url;
  const sql = await connectTo(dataDir);
  const { rows } = await sql.query(
    'select rolsuper, rolreplication, rolcreatedb from pg_roles where rolname = current_user',
  );
  expect(rows).toEqual([{ rolsuper: false, rolreplication: false, rolcreatedb: false }]);
  for (const forbidden of [
    `copy (select 1) to program 'true'`,
    `select pg_read_file('/etc/passwd')`,
    'create role another superuser',
    'alter role postgres password null',
  ]) {
    await expect(sql.query(forbidden), forbidden).rejects.toMatchObject({ code: '42501' });
  }
  // What an operator does with psql.
  await sql.query('create role bridge; grant insert on messages to bridge; drop owned by bridge; drop role bridge');
});

test('a folder whose database had a superuser as its only role is refused in one sentence', async () => {
  const dataDir = await createDataDir();
  await mkdir(join(dataDir, 'postgres/cluster'), { recursive: true });
  await writeFile(join(dataDir, 'postgres/password'), 'secret');
  const { status, output } = await runServer({ DATA_DIR: dataDir }).ended;
  expect(status).toBe(1);
  expect(JSON.parse(output).msg).toMatch(
    /^The database in .* was created by a version from before the first release[^.]*\.$/,
  );
});

test('a second server on the same folder refuses in one sentence, and the first is unaffected', async () => {
  const dataDir = await createDataDir();
  const first = runServer({ DATA_DIR: dataDir });
  const url = await first.url;
  const postmaster = await readPostmaster(dataDir);

  const { status, output } = await runServer({ DATA_DIR: dataDir }).ended;
  expect(status).toBe(1);
  expect(output.trim().split('\n')).toHaveLength(1);
  expect(JSON.parse(output)).toMatchObject({
    level: 'fatal',
    msg: `Another server is using ${dataDir}. Stop that one first, or give this one its own DATA_DIR.`,
  });
  expect(await isReady(url)).toBe(true);
  expect(await readPostmaster(dataDir)).toBe(postmaster);
});

test('the error names a folder that cannot be written', async () => {
  const { status, output } = await runServer({ DATA_DIR: '/dev/null/data' }).ended;
  expect(status).toBe(1);
  expect(JSON.parse(output).msg).toMatch(/^Cannot use DATA_DIR: .*\/dev\/null\/data/);
});
