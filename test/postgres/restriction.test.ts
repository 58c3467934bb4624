import { expect, test } from 'vitest';
import { isSuspended } from '../../src/account/suspension.ts';
import { pruneRestrictions } from '../../src/postgres/restriction.ts';
import { asSuperuser, createDatabase } from '../support/database.ts';

test('among thousands of bans and mutes, housekeeping finds those that have ended by an index, and admins the suspensions', async () => {
  await using database = await createDatabase();
  await asSuperuser(database, (superuser) => superuser.query('alter table restrictions disable trigger all'));
  const client = await database.sql.connect();
  await client.query(`insert into restrictions (chat_id, user_id, kind, until)
    select number % 100, number, 'MUTE', now() + interval '1 day' from generate_series(1, 20000) number`);
  await client.query(`insert into restrictions (user_id, kind) values (7, 'SUSPENSION')`);
  await client.query(`update restrictions set until = now() - interval '1 second' where user_id between 101 and 103`);
  await client.query('vacuum analyze restrictions');
  await client.query('begin');
  expect(await pruneRestrictions(client, 1_000)).toBe(3);
  const { rows } = await client.query(
    `select seq_tup_read::int as read from pg_stat_xact_user_tables where relname = 'restrictions'`,
  );
  expect(rows).toEqual([{ read: 0 }]);
  const plan = await client.query(
    `explain select id from users u where ${isSuspended('u.id')} order by id desc limit 50`,
  );
  expect(JSON.stringify(plan.rows)).toContain('restrictions_suspensions_idx');
  await client.query('rollback');
  client.release();
});
