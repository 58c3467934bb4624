import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type pg from 'pg';
import { expect, onTestFinished, test } from 'vitest';
import { addUser, countUsers, eventually, isReady } from '../support/embedded.ts';
import { connectTo, createDataDir, isPostgres, readPostmaster, runServer } from '../support/server-process.ts';

test('a pid file whose pid now belongs to another process does not prevent a start', async () => {
  const dataDir = await createDataDir();
  const first = runServer({ DATA_DIR: dataDir });
  await first.url;
  await addUser(await connectTo(dataDir), 'ada');
  const pidFile = join(dataDir, 'postgres/cluster/postmaster.pid');
  first.kill('SIGKILL');
  process.kill(await readPostmaster(dataDir), 'SIGKILL');
  await first.ended;
  const bystander = spawn('sleep', ['600']);
  onTestFinished(() => void bystander.kill('SIGKILL'));
  await once(bystander, 'spawn');
  await writeFile(pidFile, (await readFile(pidFile, 'utf8')).replace(/^\d+/, String(bystander.pid)));

  await runServer({ DATA_DIR: dataDir }).url;
  expect(await countUsers(dataDir)).toBe(1);
  expect(bystander.exitCode ?? bystander.signalCode).toBeNull();
});

test('a connection that is busy with a query and outlives its killed server does not prevent a start', async () => {
  const dataDir = await createDataDir();
  const first = runServer({ DATA_DIR: dataDir });
  await first.url;
  const sql = await connectTo(dataDir);
  const busy = sql.query('select count(*) from (select generate_series(1, 1e12)) numbers').catch(() => {});
  const orphan = await eventually(async () => {
    const { rows } = await sql.query(
      `select pid from pg_stat_activity where query like '%1e12%' and pid <> pg_backend_pid()`,
    );
    expect(rows).toHaveLength(1);
    return Number(rows[0].pid);
  });
  first.kill('SIGKILL');
  process.kill(await readPostmaster(dataDir), 'SIGKILL');
  await first.ended;
  expect(await isPostgres(orphan)).toBe(true);

  await runServer({ DATA_DIR: dataDir }).url;
  expect(await isPostgres(orphan)).toBe(false);
  await busy;
});

test('a first start that was cut off leaves nothing that breaks the next one', async () => {
  const dataDir = await createDataDir();
  const first = runServer({ DATA_DIR: dataDir });
  await first.said('creating a database');
  await eventually(async () => expect(await readdir(dataDir)).toContainEqual(expect.stringMatching(/^postgres\./)));
  first.kill('SIGKILL');
  await first.ended;
  expect(await readdir(dataDir)).not.toContain('postgres');
  await mkdir(join(dataDir, 'postgres.older/cluster/base'), { recursive: true });

  const second = runServer({ DATA_DIR: dataDir });
  expect(await isReady(await second.url)).toBe(true);
  expect(await readdir(dataDir)).not.toContain('postgres.older');
});

test('of two simultaneous first starts, one serves and the other is refused', async () => {
  const dataDir = await createDataDir();
  const both = [runServer({ DATA_DIR: dataDir }), runServer({ DATA_DIR: dataDir })];
  const loser = await Promise.race(both.map(async (server) => ((await server.ended).status, server)));
  const winner = both.find((server) => server !== loser);
  expect(await loser.ended).toMatchObject({ status: 1, output: expect.stringContaining('Another server is using') });
  expect(await isReady((await winner?.url) ?? '')).toBe(true);
});

test('a signal during startup takes effect as soon as startup is complete', async () => {
  const dataDir = await createDataDir();
  const server = runServer({ DATA_DIR: dataDir });
  await server.said('creating a database');
  server.kill('SIGTERM');
  expect((await server.ended).status).toBe(0);
  expect(await isPostgres(await readPostmaster(dataDir).catch(() => 0))).toBe(false);
});

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

test('a second server on the same folder refuses to start, in one sentence, and the first is unaffected', async () => {
  const dataDir = await createDataDir();
  const first = runServer({ DATA_DIR: dataDir });
  const url = await first.url;
  const postmaster = await readPostmaster(dataDir);

  const { status, output } = await runServer({ DATA_DIR: dataDir }).ended;
  expect(status).toBe(1);
  expect(output.trim().split('\n')).toHaveLength(1);
  expect(JSON.parse(output)).toMatchObject({
    level: 'fatal',
    msg: `Another server is using ${dataDir}. Stop that server first, or set a different DATA_DIR for this one.`,
  });
  expect(await isReady(url)).toBe(true);
  expect(await readPostmaster(dataDir)).toBe(postmaster);
});

/** Inserts users one after another until the database goes away. Resolves to the number of acknowledged inserts. */
async function insertUntilCutOff(sql: pg.Pool): Promise<number> {
  for (let count = 0; ; count++) {
    try {
      await addUser(sql, `user${count}`);
    } catch {
      return count;
    }
  }
}

test('the server works in a database of its own, as a role that is not a superuser, and loses no committed row when everything is killed', async () => {
  const dataDir = await createDataDir();
  const first = runServer({ DATA_DIR: dataDir });
  await first.url;
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
  // An operator might do this with psql.
  await sql.query('create role bridge; grant insert on messages to bridge; drop owned by bridge; drop role bridge');

  await addUser(sql, 'ada');
  const inserting = insertUntilCutOff(sql);
  await eventually(async () => expect(await countUsers(dataDir)).toBeGreaterThan(20));
  first.kill('SIGKILL');
  process.kill(await readPostmaster(dataDir), 'SIGKILL');
  const committed = 1 + (await inserting);

  await runServer({ DATA_DIR: dataDir }).url;
  // The last insert may have been committed although the test never received the answer.
  expect([committed, committed + 1]).toContain(await countUsers(dataDir));
});
