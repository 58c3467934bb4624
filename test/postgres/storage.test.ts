import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { atFileEnd } from '../support/file-end.ts';

let database: TestDatabase;
beforeAll(async () => void (database = await createDatabase()));
atFileEnd(() => database.drop());

/** Returns the total size of each user's files, both as the database has counted it and as it really is. */
async function compareCounts(): Promise<{ counted: Record<string, number>; stored: Record<string, number> }> {
  const { rows } = await database.sql.query<{ id: string; counted: number; stored: number }>(
    `select u.id::text, stored_bytes(u.id)::int as counted,
      coalesce((select sum(b.size) from files f join blobs b on b.hash = f.blob_hash where f.uploader_id = u.id), 0)::int as stored
    from users u`,
  );
  const by = (key: 'counted' | 'stored') => Object.fromEntries(rows.map((row) => [row.id, row[key]]));
  return { counted: by('counted'), stored: by('stored') };
}

async function addPeople(count: number): Promise<string[]> {
  const { rows } = await database.sql.query<{ id: string }>(
    `insert into users (username, email)
    select name, name || '@example.com' from (
      select 'person' || nextval('users_id_seq') as name from generate_series(1, $1::int)
    ) given returning id::text`,
    [count],
  );
  return rows.map(({ id }) => id);
}

/** Inserts a file for each of these uploaders in a single statement, as a user of psql might. */
async function addFiles(uploaderIds: readonly string[], size: number): Promise<void> {
  const content = Buffer.alloc(size, 'x');
  await database.sql.query(
    `with blob as (
      insert into blobs (hash, size, content_type, bytes) values ($1, $2::int, 'text/plain', $3) on conflict (hash) do nothing
    ) select`,
    [createHash('sha256').update(content).digest(), size, content],
  );
  await database.sql.query(
    `insert into files (uploader_id, blob_hash, name) select id, $2, 'a.txt' from unnest($1::bigint[]) id`,
    [uploaderIds, createHash('sha256').update(content).digest()],
  );
}

/** Deletes about this share of all files, chosen at random. */
const removeFiles = (share: number) =>
  database.sql.query(
    'delete from files where id in (select id from files where random() < $1 for update skip locked)',
    [share],
  );

test('a user’s stored bytes equal the count, however many write and delete at the same time', async () => {
  const people = await addPeople(4);
  const person = fc.constantFrom(...people);
  const step = fc.oneof(
    fc.record({ by: fc.array(person, { minLength: 1, maxLength: 6 }), size: fc.integer({ min: 1, max: 900 }) }),
    fc.record({ share: fc.constantFrom(0.2, 0.5, 1) }),
  );
  const turn = fc.array(step, { minLength: 1, maxLength: 4 });
  await fc.assert(
    fc.asyncProperty(fc.array(turn, { minLength: 1, maxLength: 8 }), async (turns) => {
      for (const steps of turns) {
        await Promise.all(
          steps.map((each) => ('by' in each ? addFiles(each.by.toSorted(), each.size) : removeFiles(each.share))),
        );
        const { counted, stored } = await compareCounts();
        expect(counted).toEqual(stored);
      }
    }),
    { numRuns: 25 },
  );
});

test('the count stays right when messages, chats and users are deleted', async () => {
  const [ada = '', grace = ''] = await addPeople(2);
  await addFiles([ada, ada, grace, grace], 500);
  const { rows } = await database.sql.query<{ id: string }>(
    `with chat as (insert into chats (type, name) values ('GROUP', 'Files') returning id)
    insert into members (chat_id, user_id) select id, unnest($1::bigint[]) from chat returning chat_id::text as id`,
    [[ada, grace]],
  );
  const chatId = rows[0]?.id;
  for (const by of [ada, grace]) {
    await database.sql.query(
      `with message as (
        insert into messages (chat_id, sender_id, content, file_count) values ($1, $2, '', 1) returning id
      ) select id from message`,
      [chatId, by],
    );
    await database.sql.query(
      `update files set message_id = (select max(id) from messages where sender_id = $1), place = 0
      where id = (select min(id) from files where uploader_id = $1)`,
      [by],
    );
  }
  expect((await compareCounts()).counted).toMatchObject({ [ada]: 1_000, [grace]: 1_000 });
  await database.sql.query('delete from messages where sender_id = $1', [ada]);
  expect((await compareCounts()).counted).toMatchObject({ [ada]: 500, [grace]: 1_000 });
  await database.sql.query('delete from chats where id = $1', [chatId]);
  expect((await compareCounts()).counted).toMatchObject({ [ada]: 500, [grace]: 500 });
  await database.sql.query('delete from users where id = $1', [grace]);
  await addFiles([ada], 1);
  expect((await compareCounts()).counted).toMatchObject({ [ada]: 501 });
  const { rows: left } = await database.sql.query(
    'select user_id from storage_releases where user_id = $1 union all select user_id from storage_uses where user_id = $2',
    [ada, grace],
  );
  expect(left).toEqual([]);
});

test('the quota of files that were deleted one by one is available immediately, for the next file', async () => {
  const [ada = ''] = await addPeople(1);
  await addFiles(
    Array.from({ length: 200 }, () => ada),
    10,
  );
  await database.sql.query(
    `do $$ declare one bigint; begin
      for one in select id from files where uploader_id = ${ada} loop delete from files where id = one; end loop;
    end $$`,
  );
  const client = await database.sql.connect();
  const countUpdates = async () => {
    const { rows } = await client.query<{ count: number }>(
      `select n_tup_upd::int as count from pg_stat_xact_user_tables where relname = 'storage_uses'`,
    );
    return rows[0]?.count ?? 0;
  };
  await client.query('begin');
  const before = await countUpdates();
  await client.query(
    `insert into files (uploader_id, blob_hash, name) select $1::bigint, hash, 'next' from blobs where size = 10`,
    [ada],
  );
  const updates = (await countUpdates()) - before;
  await client.query('commit');
  client.release();
  // There is one update for the new files, and one for all deleted files. With one update per deleted file, deleting
  // 20,000 files took seconds.
  expect(updates).toBe(2);
  expect((await compareCounts()).counted).toMatchObject({ [ada]: 10 });
});

test('the size of stored bytes, which counts toward quotas, cannot be changed', async () => {
  const [ada = ''] = await addPeople(1);
  await addFiles([ada], 77);
  await expect(database.sql.query('update blobs set size = 78, bytes = null where size = 77')).rejects.toThrow(
    'the size of a blob cannot be changed',
  );
});

test.each(['storage_uses', 'storage_releases'])('%s cannot be truncated', async (table) => {
  await expect(database.sql.query(`truncate ${table}`)).rejects.toMatchObject({ code: '0A000' });
});
