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
  ['there is one more', 'alter table users add column nickname text'],
  ['it has another type', 'alter table messages alter column version type bigint'],
  ['it has another precision', 'alter table users alter column created_at type timestamptz(6)'],
  ['it may be null', 'alter table messages alter column seq drop not null'],
  ['it may no longer be null', 'alter table chats alter column name set not null'],
  ['it has another default', `alter table members alter column role set default 'OWNER'`],
  ['it no longer counts up', 'alter table users alter column id drop identity'],
  ['a unique key is gone', 'drop index messages_sender_id_client_message_id_key'],
  ['there is one more unique key', 'create unique index on users (username)'],
  ['an index is gone', 'drop index sessions_user_id_idx'],
  ['a primary key is another', 'alter table members drop constraint members_pkey, add primary key (user_id, chat_id)'],
  ['a foreign key is gone', 'alter table sessions drop constraint sessions_user_id_fkey'],
  [
    'it does something else on delete',
    `alter table sessions drop constraint sessions_user_id_fkey,
      add constraint sessions_user_id_fkey foreign key (user_id) references users on update cascade`,
  ],
  ['an enum has one more value', `alter type chat_type add value 'THREAD'`],
  ['there is one more table', 'create table drafts (id int)'],
])('drift is detected when %s', async (_, statement) => {
  const client = await database.sql.connect();
  await client.query('begin');
  await client.query(statement);
  const drifted = await readCatalog(client);
  await client.query('rollback');
  client.release();
  expect(drifted).not.toEqual(schema);
});
