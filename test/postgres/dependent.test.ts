import { beforeAll, expect, test } from 'vitest';
import { continueDeletions } from '../../src/account/account-deletion.ts';
import { connectDatabase, disconnectDatabase } from '../../src/postgres/client.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { atFileEnd } from '../support/file-end.ts';

/**
 * Everything that depends on a message, a chat or a user refers to it by a foreign key. The key declares what happens
 * to the dependent row when the referenced row is deleted: `on delete cascade` deletes it too, `on delete set null`
 * keeps it without an owner. seal_schema() makes sure that writing a tombstone removes the rows that refer to its
 * message. All other references are listed here, each with its reason.
 */
const otherKeys: Record<string, string> = {
  'messages.messages_chat_id_reply_to_seq_fkey':
    'A reply outlives what it replies to, which stays as a tombstone; both are deleted with their chat.',
  'reports.reports_message_id_fkey': 'A report keeps what a message said, past its deletion. It is deleted by age.',
};
const idsWithoutKey: Record<string, string> = {
  'events.chat_id': 'The log has ids only, and is pruned.',
  'events.message_id': 'The log has ids only, and is pruned.',
  'events.user_id': 'The log has ids only, and is pruned.',
  'events.actor_id': 'The log has ids only, and is pruned.',
  'event_recipients.user_id': 'The log has ids only, and is pruned.',
  'event_recipients.event_id': 'Goes with its event when the log is pruned.',
  'audit_entries.actor_id': 'The audit log has ids only, and is pruned.',
  'audit_entries.api_key_id': 'The audit log has ids only, and is pruned.',
  'search_entries.message_id': 'Triggers delete it; a key would look each message up once more.',
  'search_backlog.message_id': 'Goes at the next attempt to index the message.',
  'messages.client_message_id': 'A name that the sender gave; account deletion removes it.',
  'stream_operations.operation_id': 'A name that a client gave.',
};

type Key = { name: string; table: string; owner: string; columns: string[]; action: string };

let database: TestDatabase;
beforeAll(async () => void (database = await createDatabase()));
atFileEnd(() => database.drop());

async function query<Row>(text: string, values: unknown[] = []): Promise<Row[]> {
  return (await database.sql.query(text, values)).rows as Row[];
}

function readKeys(): Promise<Key[]> {
  return query<Key>(`
    select k.conname as name, k.conrelid::regclass::text as "table", k.confrelid::regclass::text as owner,
      array(select attname::text from pg_attribute where attrelid = k.conrelid and attnum = any (k.conkey)) as columns,
      case k.confdeltype when 'c' then 'cascade' when 'n' then 'set null' else 'other' end as action
    from pg_constraint k
    where k.contype = 'f' and k.connamespace = 'public'::regnamespace
    order by 2, 1`);
}

const keysTo = async (owner: string) => (await readKeys()).filter((key) => key.owner === owner);

test.each([
  ['messages', ['cascade']],
  ['chats', ['cascade']],
  ['users', ['cascade', 'set null']],
])('every table that refers to %s declares what happens to its rows', async (owner, actions) => {
  const keys = await keysTo(owner);
  expect(keys.length).toBeGreaterThan(2);
  const undecided = keys
    .filter(({ action }) => !actions.includes(action))
    .map(({ table, name }) => `${table}.${name}`)
    .filter((key) => otherKeys[key] === undefined);
  expect(undecided).toEqual([]);
});

test('every id without a foreign key is listed with a reason', async () => {
  const columns = await query<{ name: string }>(`
    select c.relname || '.' || a.attname as name
    from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    where c.relnamespace = 'public'::regnamespace and c.relkind = 'r' and a.attname like '%\\_id'
      and not exists (select from pg_constraint k where k.contype = 'f' and k.conrelid = c.oid and a.attnum = any (k.conkey))`);
  expect(columns.map(({ name }) => name).filter((name) => idsWithoutKey[name] === undefined)).toEqual([]);
});

async function sourceOfClearing(): Promise<string> {
  const [row] = await query<{ prosrc: string }>(`select prosrc from pg_proc where proname = 'clear_tombstone'`);
  return row?.prosrc ?? '';
}

test('a tombstone clears every table that refers to its message: the last migration has called seal_schema', async () => {
  const before = await sourceOfClearing();
  await query('select seal_schema()');
  expect(await sourceOfClearing()).toBe(before);
  for (const { table } of (await keysTo('messages')).filter(({ action }) => action === 'cascade')) {
    expect(before).toContain(`delete from ${table} where`);
  }
});

/**
 * Creates Ada, a chat of hers with Grace, and a message of hers that has everything that can be attached to a message.
 */
async function createEverything(): Promise<{ ada: string; chat: string; message: string }> {
  const [people] = await query<{ ada: string; grace: string }>(`
    with made as (
      insert into users (username, email)
      select name || nextval('event_ids'), name || nextval('event_ids') || '@example.com' from unnest('{a,g}'::text[]) name
      returning id
    ) select min(id)::text as ada, max(id)::text as grace from made`);
  const { ada = '', grace = '' } = people ?? {};
  const [made] = await query<{ chat: string }>(
    `with made as (insert into chats (type, name) values ('GROUP', 'everything') returning id)
    insert into members (chat_id, user_id, role)
    select id, person, 'OWNER' from made, unnest($1::bigint[]) person returning chat_id::text as chat`,
    [[ada, grace]],
  );
  const chat = made?.chat ?? '';
  const [sent] = await query<{ message: string }>(
    `insert into messages (chat_id, sender_id, content, file_count) values ($1, $2, 'first', 1) returning id::text as message`,
    [chat, ada],
  );
  const message = sent?.message ?? '';
  await query(`update messages set content = 'second' where id = $1`, [message]);
  for (const [table, columns, values] of samples) {
    const filled = values.replaceAll(':ada', ada).replaceAll(':grace', grace).replaceAll(':chat', chat);
    await query(
      `insert into ${table} (${columns}) select ${filled.replaceAll(':message', message)} on conflict do nothing`,
    );
  }
  return { ada, chat, message };
}

/** A row for every table that refers to a message or a user. Tables that triggers fill are left out. */
const samples: [table: string, columns: string, values: string][] = [
  ['reactions', 'chat_id, seq, user_id, emoji', `:chat, 1, :ada, '👍'`],
  ['mentions', 'chat_id, seq, user_id', ':chat, 1, :ada'],
  ['pins', 'chat_id, seq', ':chat, 1'],
  ['search_chat_backlog', 'chat_id', ':chat'],
  ['blobs', 'hash, size, content_type, bytes', `sha256('x'), 1, 'text/plain', 'x'`],
  ['files', 'uploader_id, blob_hash, name, message_id, place', `:ada, sha256('x'), 'x.txt', :message, 0`],
  ['files', 'uploader_id, blob_hash, name', `:ada, sha256('x'), 'y.txt'`],
  ['search_entries', 'message_id, tokens', `:message, ' x '`],
  ['search_people', 'user_id, tokens', `:ada, ' ada '`],
  ['search_channels', 'chat_id, tokens', `:chat, ' x '`],
  ['search_channel_backlog', 'chat_id', ':chat'],
  ['storage_releases', 'user_id, bytes', ':ada, 1'],
  [
    'partial_uploads',
    'id, user_id, name, reserved_bytes',
    `left(translate(gen_random_uuid()::text, '-', '_'), 22), :ada, 'z', 1`,
  ],
  ['credentials', 'user_id, password_hash', `:ada, 'none'`],
  ['identities', 'issuer, subject, user_id, claims_issued_at', `'shop', ':ada', :ada, now()`],
  ['claimed_pictures', 'user_id, url', `:ada, 'https://pictures.example/ada'`],
  ['blocks', 'blocker_id, blocked_id', ':ada, :grace'],
  ['blocks', 'blocker_id, blocked_id', ':grace, :ada'],
  [
    'api_keys',
    'name, secret_hash, hint, scopes, creator_id',
    `'Shop', sha256(convert_to(:ada::text, 'UTF8')), 'parley_abcd', '{ADMIN}', :ada`,
  ],
  ['sessions', 'user_id', ':ada'],
  [
    'webhooks',
    'owner_id, url, document, cursor, secret, status',
    `:ada, 'https://shop.example/', 'subscription { events { cursor } }', '000000000000.0', sha256('x'), 'PAUSED'`,
  ],
  ['presences', 'user_id', ':ada'],
  ['presence_nodes', 'node', `'a node'`],
  [
    'session_presences',
    'session_id, node, user_id',
    `(select max(id) from sessions where user_id = :ada), 'a node', :ada`,
  ],
  ['chats', 'type', `'SINGLE'`],
  ['single_chats', 'chat_id, low_user_id, high_user_id', `(select max(id) from chats), :ada, :grace`],
  ['chats', 'type', `'SINGLE'`],
  ['single_chats', 'chat_id, low_user_id, high_user_id', `(select max(id) from chats), :ada, :ada`],
  ['account_deletions', 'user_id, messages', `:ada, 'KEEP'`],
  [
    'restrictions',
    'chat_id, user_id, kind, until, created_by_id',
    `:chat, :grace, 'MUTE', now() + interval '1 day', :ada`,
  ],
  [
    'invites',
    'code, chat_id, created_by_id',
    `replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), :chat, :ada`,
  ],
  ['slow_mode_turns', 'chat_id, user_id', ':chat, :ada'],
  ['chat_imports', 'chat_id, type', `:chat, 'GROUP'`],
  ['import_members', 'chat_id, user_id, role, joined_at', `:chat, :ada, 'MEMBER', now()`],
  // The suspension has ended, because a suspended user has no sessions.
  ['restrictions', 'user_id, kind, until', `:ada, 'SUSPENSION', now() - interval '1 day'`],
  [
    'reports',
    'message_id, reporter_id, reason, resolution, resolved_at, resolved_by_id',
    `:message, :ada, 'SPAM', 'NO_ACTION', now(), :ada`,
  ],
  ['known_networks', 'user_id, network_hash', `:ada, sha256('x')`],
  ['known_devices', 'user_id, device_hash', `:ada, sha256('x')`],
  ['mails', 'kind, user_id', `'VERIFICATION', :ada`],
  [
    'mail_codes',
    'code_hash, kind, email, user_id',
    `sha256(convert_to(:ada::text, 'UTF8')), 'VERIFICATION', 'a@b', :ada`,
  ],
];

/** Returns how many rows of a table refer to the row with this id. */
async function countReferring({ table, columns, owner }: Key, id: string): Promise<number> {
  const [row] = await query<{ count: number }>(
    owner === 'messages' && columns.length > 1
      ? `select count(*)::int from ${table} where (chat_id, seq) in (select chat_id, seq from messages where id = $1)`
      : `select count(*)::int from ${table} where ${columns[0]} = $1`,
    [id],
  );
  return row?.count ?? 0;
}

/**
 * Returns the foreign keys whose rows are deleted together with the row that they refer to, or whose rows lose their
 * reference to it.
 */
async function dependentKeysTo(owner: string): Promise<Key[]> {
  return (await keysTo(owner)).filter(({ table, name }) => otherKeys[`${table}.${name}`] === undefined);
}

async function tablesReferring(owner: string, id: string): Promise<string[]> {
  const keys = await dependentKeysTo(owner);
  const counts = await Promise.all(keys.map((key) => countReferring(key, id)));
  return keys
    .filter((_, index) => (counts[index] ?? 0) > 0)
    .map(({ table, columns }) => `${table} (${columns.join()})`);
}

async function allReferring(owner: string): Promise<string[]> {
  const keys = await dependentKeysTo(owner);
  return keys.map(({ table, columns }) => `${table} (${columns.join()})`);
}

test('when a message is deleted, no table refers to it any more', async () => {
  const { message } = await createEverything();
  // A table that is missing here needs a row in `samples`.
  expect(await tablesReferring('messages', message)).toEqual(await allReferring('messages'));
  await query('delete from messages where id = $1', [message]);
  expect(await query('select content, deleted_at is null as stands from messages where id = $1', [message])).toEqual([
    { content: null, stands: false },
  ]);
  expect(await tablesReferring('messages', message)).toEqual([]);
});

test('the same applies to a table that a later migration creates, and to rows that refer to it', async () => {
  await query(`
    create table checklists (
      chat_id bigint, seq int, title text, primary key (chat_id, seq),
      foreign key (chat_id, seq) references messages (chat_id, seq) on delete cascade on update cascade
    );
    create table checklist_items (
      chat_id bigint, seq int, label text,
      foreign key (chat_id, seq) references checklists (chat_id, seq) on delete cascade on update cascade
    );
    select seal_schema()`);
  const { chat, message } = await createEverything();
  await query(`insert into checklists values (${chat}, 1, 'Where?')`);
  await query(`insert into checklist_items values (${chat}, 1, 'Here')`);
  await query('delete from messages where id = $1', [message]);
  expect(await query('select from checklists union all select from checklist_items')).toEqual([]);
  await query('drop table checklist_items, checklists; select seal_schema()');
});

test('when a chat is deleted, no table refers to it any more', async () => {
  const { chat, message } = await createEverything();
  await query('delete from chats where id = $1', [chat]);
  expect(await tablesReferring('chats', chat)).toEqual([]);
  expect(await listEntries(message)).toEqual([]);
});

const listEntries = (message: string) => query('select from search_entries where message_id = $1', [message]);

test('a deleted message leaves the search index in the same transaction', async () => {
  const { message } = await createEverything();
  expect(await listEntries(message)).toHaveLength(1);
  await query('delete from messages where id = $1', [message]);
  expect(await listEntries(message)).toEqual([]);
});

/** Foreign keys to `users` in rows that only bots have. */
const keysOfBots = ['api_keys (bot_id)'];
/** Foreign keys to `users` in rows that a trigger inserts for every user. */
const keysOfAll = ['search_user_backlog (user_id)'];

test('when an account is erased, no table refers to its user any more', async () => {
  const { ada } = await createEverything();
  // A table that is missing here needs a row in `samples`.
  const expected = (await allReferring('users')).filter((key) => !keysOfBots.includes(key));
  expect(await tablesReferring('users', ada)).toEqual(expected);
  await eraseUser(ada);
  expect(await tablesReferring('users', ada)).toEqual([]);
  expect(await query('select from users where id = $1', [ada])).toEqual([]);
});

test('when a bot is erased, its keys are deleted with it', async () => {
  const [made] = await query<{ bot: string }>(`
    with made as (insert into users (username, kind) values ('robot', 'BOT') returning id) select id::text as bot from made`);
  const { bot = '' } = made ?? {};
  await query(
    `insert into api_keys (name, secret_hash, hint, scopes, bot_id) values ('Robot', sha256('y'), 'parley_abcd', '{}', $1)`,
    [bot],
  );
  expect(await tablesReferring('users', bot)).toEqual([...keysOfBots, ...keysOfAll]);
  await eraseUser(bot);
  expect(await tablesReferring('users', bot)).toEqual([]);
  expect(await query('select from users where id = $1', [bot])).toEqual([]);
});

async function eraseUser(id: string): Promise<void> {
  const db = connectDatabase({ url: database.url, maxConnections: 2, statementTimeoutMs: 10_000, onError: () => {} });
  await query('update users set deleted_at = now() where id = $1', [id]);
  await query(`insert into account_deletions (user_id, messages) values ($1, 'KEEP') on conflict do nothing`, [id]);
  while ((await continueDeletions({ db }, 100)) > 0);
  await disconnectDatabase(db);
}
