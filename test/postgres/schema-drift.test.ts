import { readFile } from 'node:fs/promises';
import { beforeAll, expect, test } from 'vitest';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { readCatalog } from './catalog.ts';
import { readPrismaSchema } from './prisma-schema.ts';
import { atFileEnd } from '../support/file-end.ts';

const schema = readPrismaSchema(await readFile('prisma/schema.prisma', 'utf8'));

let database: TestDatabase;
beforeAll(async () => void (database = await createDatabase()));
atFileEnd(() => database.drop());

test('the migrated database matches schema.prisma: tables, columns, types, defaults, keys and enums', async () => {
  expect(await readCatalog(database.sql)).toEqual(schema);
});

test.each([
  ['a column is gone', 'alter table sessions drop column user_agent'],
  ['a column is added', 'alter table users add column nickname text'],
  ['a column has another type', 'alter table messages alter column version type bigint'],
  ['a column has another precision', 'alter table users alter column created_at type timestamptz(6)'],
  ['a column becomes nullable', 'alter table messages alter column seq drop not null'],
  ['a column is no longer nullable', 'alter table chats alter column name set not null'],
  ['a column has another default', `alter table members alter column role set default 'OWNER'`],
  ['a column is no longer an identity', 'alter table users alter column id drop identity'],
  ['a unique key is gone', 'drop index messages_sender_id_client_message_id_key'],
  ['a unique key is added', 'create unique index on users (username)'],
  ['an index is gone', 'drop index sessions_user_id_idx'],
  [
    'a primary key is different',
    'alter table mentions drop constraint mentions_pkey, add primary key (user_id, chat_id, seq)',
  ],
  ['a foreign key is gone', 'alter table sessions drop constraint sessions_user_id_fkey'],
  [
    'a foreign key has another action on delete',
    `alter table sessions drop constraint sessions_user_id_fkey,
      add constraint sessions_user_id_fkey foreign key (user_id) references users on update cascade`,
  ],
  ['an enum has an additional value', `alter type chat_type add value 'THREAD'`],
  ['a table is added', 'create table drafts (id int)'],
])('drift is detected when %s', async (_, statement) => {
  const client = await database.sql.connect();
  await client.query('begin');
  await client.query(statement);
  const drifted = await readCatalog(client);
  await client.query('rollback');
  client.release();
  expect(drifted).not.toEqual(schema);
});
