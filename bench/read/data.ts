import { addGroup, addPeople, type Database, type Person } from '../database.ts';

/** The data that the readers read, with ids as in the database. */
export type Rows = {
  readers: Person[];
  /**
   * A chat of plain messages, and a chat whose messages have reactions, files, replies and mentions. All readers are
   * members of both chats.
   */
  plainChatId: string;
  richChatId: string;
  /** A message in the plain chat. */
  messageId: string;
};

const readerCount = 8;
const groupCount = 14;
/** More messages than fit on a page, so that there is another page before the one that is read. */
const messageCount = 80;

/** Fills a migrated database with what a small team would have: groups, single chats and pictures. */
export async function fillRows(database: Database): Promise<Rows> {
  const people = await addPeople(database, readerCount + 12);
  const readers = people.slice(0, readerCount);
  await addPictures(database, people);
  const groups: string[] = [];
  for (let number = 0; number < groupCount; number += 1) {
    const others = people.slice(readerCount, readerCount + 4 + (number % 8));
    groups.push(await addGroup(database, [...readers, ...others]));
  }
  for (const group of groups) await say(database, group, people);
  await addSingleChats(database, readers, people.slice(readerCount, readerCount + 8));
  const [plainChatId = '', richChatId = ''] = groups;
  await enrich(database, richChatId, people);
  await database.sql.query('update members set last_read_seq = greatest(last_read_seq, 20)');
  const { rows } = await database.sql.query<{ id: string }>(
    'select id::text from messages where chat_id = $1 and seq = 40',
    [plainChatId],
  );
  await database.sql.query('vacuum analyze');
  return { readers, plainChatId, richChatId, messageId: rows[0]?.id ?? '' };
}

async function say({ sql }: Database, chatId: string, people: readonly Person[]): Promise<void> {
  await sql.query(
    `insert into messages (chat_id, sender_id, content)
    select $1, ($2::bigint[])[1 + n % cardinality($2::bigint[])],
      'This is message ' || n || ', and it says what people say: see you at seven?'
    from generate_series(1, $3::int) n`,
    [chatId, people.slice(0, readerCount).map(({ userId }) => userId), messageCount],
  );
}

/** Adds a single chat between each reader and each of the others, with messages from both. */
async function addSingleChats(database: Database, readers: readonly Person[], others: readonly Person[]) {
  for (const reader of readers) {
    for (const other of others) {
      const { rows } = await database.sql.query<{ id: string }>(
        `with chat as (insert into chats (type) values ('SINGLE') returning id),
          pair as (insert into single_chats (chat_id, low_user_id, high_user_id)
            select id, least($1::bigint, $2::bigint), greatest($1::bigint, $2::bigint) from chat),
          joined as (insert into members (chat_id, user_id) select id, unnest(array[$1::bigint, $2::bigint]) from chat)
        select id::text from chat`,
        [reader.userId, other.userId],
      );
      await database.sql.query(
        `insert into messages (chat_id, sender_id, content)
        select $1, case n % 2 when 0 then $2::bigint else $3::bigint end, 'between two: ' || n
        from generate_series(1, 30) n`,
        [rows[0]?.id, reader.userId, other.userId],
      );
    }
  }
}

/** Adds a picture for each user. */
async function addPictures({ sql }: Database, people: readonly Person[]): Promise<void> {
  const ids = people.map(({ userId }) => userId);
  await sql.query(
    `insert into blobs (hash, size, content_type, width, height, blurhash)
    select sha256(id::text::bytea), 3, 'image/png', 64, 64, 'LEHV6nWB2yk8' from unnest($1::bigint[]) id`,
    [ids],
  );
  await sql.query(
    `insert into files (uploader_id, blob_hash, name)
    select id, sha256(id::text::bytea), 'me.png' from unnest($1::bigint[]) id`,
    [ids],
  );
  await sql.query('update users set avatar_file_id = files.id from files where users.id = files.uploader_id');
}

/**
 * Adds 60 messages: every fourth has a file, and every third is a reply. Of all messages in the chat, three out of four
 * get reactions, and every fifth gets a mention.
 */
async function enrich({ sql }: Database, chatId: string, people: readonly Person[]): Promise<void> {
  const ids = people.map(({ userId }) => userId);
  await sql.query(
    `insert into messages (chat_id, sender_id, content, reply_to_seq, file_count)
    select $1, ($2::bigint[])[1 + n % 8], 'This is rich message ' || n || ', see you at seven?',
      case n % 3 when 0 then n end, case n % 4 when 0 then 1 else 0 end
    from generate_series(1, 60) n`,
    [chatId, ids],
  );
  await sql.query(
    `with added as (
      insert into blobs (hash, size, content_type)
      select sha256('file'), 4, 'text/plain' returning hash)
    insert into files (uploader_id, blob_hash, name, message_id, place)
    select m.sender_id, added.hash, 'notes.txt', m.id, 0
    from messages m, added where m.chat_id = $1 and m.file_count = 1`,
    [chatId],
  );
  await sql.query(
    `insert into reactions (chat_id, seq, user_id, emoji)
    select $1, seq, person, emoji
    from messages, unnest(($2::bigint[])[1:3]) person, unnest(array['👍', '🎉']) emoji
    where chat_id = $1 and seq % 4 <> 0`,
    [chatId, ids],
  );
  await sql.query(
    `insert into mentions (chat_id, seq, user_id) select $1, seq, $2 from messages where chat_id = $1 and seq % 5 = 0`,
    [chatId, ids[1]],
  );
}
