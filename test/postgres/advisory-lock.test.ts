import { globSync, readFileSync } from 'node:fs';
import { beforeAll, expect, test } from 'vitest';
import { advisoryLocks } from '../../src/postgres/advisory-lock.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { atFileEnd } from '../support/file-end.ts';

let database: TestDatabase;
beforeAll(async () => void (database = await createDatabase()));
atFileEnd(() => database.drop());

async function sourceOf(functionName: string): Promise<string> {
  const { rows } = await database.sql.query<{ prosrc: string }>('select prosrc from pg_proc where proname = $1', [
    functionName,
  ]);
  return rows[0]?.prosrc ?? '';
}

test('the keys of the advisory locks are the same in SQL and in the program', async () => {
  const inSql = [...(await sourceOf('lock_key')).matchAll(/when '([^']+)' then (\d+)/g)];
  expect(Object.fromEntries(inSql.map(([, name, key]) => [name, Number(key)]))).toEqual(advisoryLocks);
});

test('no two advisory locks have the same key', () => {
  const keys = Object.values(advisoryLocks);
  expect(new Set(keys).size).toBe(keys.length);
});

test('a lock that is not in the table is refused, because it would lock nothing', async () => {
  await expect(database.sql.query(`select lock_key('event logs')`)).rejects.toThrow('no advisory lock "event logs"');
});

/** Returns the arguments of calls of `pg_advisory_lock(` and similar functions in a text. */
const asked = (text: string) => [...text.matchAll(/pg_(?:try_)?advisory\w*\(\s*([^\s,)]+)/g)].map(([, key]) => key);

test('every advisory lock that the program or the database takes is in the table', async () => {
  const { rows } = await database.sql.query<{ prosrc: string }>(
    `select prosrc from pg_proc where pronamespace = 'public'::regnamespace`,
  );
  const inSql = rows.flatMap(({ prosrc }) => asked(prosrc));
  expect(inSql).not.toEqual([]);
  expect(inSql.filter((key) => !key?.startsWith('lock_key('))).toEqual([]);

  const files = globSync('src/**/*.ts', { exclude: ['src/postgres/generated/**'] });
  const inProgram = files.map((file) => readFileSync(file, 'utf8')).filter((text) => asked(text).length > 0);
  expect(inProgram).not.toEqual([]);
  expect(inProgram.filter((text) => !text.includes('advisoryLocks'))).toEqual([]);
  expect(inProgram.flatMap(asked).filter((key) => /^\d/.test(key ?? ''))).toEqual([]);
});
