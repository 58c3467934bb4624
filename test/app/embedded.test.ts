import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type pg from 'pg';
import { pino } from 'pino';
import { expect, test, vi } from 'vitest';
import { start } from '../../src/app.ts';
import { readConfig } from '../../src/config.ts';
import { addUser, countUsers, eventually } from '../support/embedded.ts';
import { connectTo, createDataDir, readPostmaster, runServer } from '../support/server-process.ts';

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

/** Starts a server in this process, to see why it cannot start. */
const startIn = (dataDir: string) => start(readConfig({ DATA_DIR: dataDir, PORT: '0' }), pino({ level: 'silent' }));

// A busy machine takes a while to start whole servers.
vi.setConfig({ testTimeout: 60_000 });

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
  // What an operator does with psql.
  await sql.query('create role bridge; grant insert on messages to bridge; drop owned by bridge; drop role bridge');

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

test('a folder whose database had a superuser as its only role is refused in one sentence', async () => {
  const dataDir = await createDataDir();
  await mkdir(join(dataDir, 'postgres/cluster'), { recursive: true });
  await writeFile(join(dataDir, 'postgres/password'), 'secret');
  await expect(startIn(dataDir)).rejects.toThrow(
    /^The database in .* was created by a version from before the first release[^.]*\.$/,
  );
});

test('the error names a folder that cannot be written', async () => {
  await expect(startIn('/dev/null/data')).rejects.toThrow(/^Cannot use DATA_DIR: .*\/dev\/null\/data/);
});
