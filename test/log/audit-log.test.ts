import { beforeAll, expect, test } from 'vitest';
import { pruneAuditEntries } from '../../src/log/audit-log.ts';
import { createGroup, createPublicChannel, keyOf, say } from '../support/chat.ts';
import { signUp, signUpAll, type Person } from '../support/client.ts';
import { createDatabase } from '../support/database.ts';
import { joinChat, leaveChat, removePerson, setMemberRole } from '../support/membership.ts';
import { deleteMessage } from '../support/message.ts';
import { ban, inMinutes, mute, unban } from '../support/moderation.ts';
import { startServer, type TestServer } from '../support/server.ts';

let server: TestServer;
let ada: Person;
let grace: Person;
let linus: Person;
beforeAll(async () => {
  server = await startServer();
  [ada, grace, linus] = await signUpAll(server, 'ada', 'grace', 'linus');
});

const dayMs = 86_400_000;

/** Runs `work`, and returns the audit entries that it caused, as actor, action, target and detail. */
async function audited(work: () => Promise<unknown>): Promise<unknown[]> {
  const { rows: before } = await server.sql.query('select coalesce(max(id), 0) as id from audit_entries');
  await work();
  const { rows } = await server.sql.query<{ actor: string | null; action: string; target: string; detail: object }>(
    `select actor_id::text as actor, action, target_type || ':' || target_key as target, detail
    from audit_entries where id > $1 order by id`,
    [before[0].id],
  );
  return rows.map(({ actor, action, target, detail }) => [actor, action, target, detail]);
}

const target = (person: Person) => `User:${keyOf(person.userId)}`;
const inChat = (chat: string) => ({ chat: `Chat:${keyOf(chat)}` });

test('when a user removes another member or changes their role, an entry names both', async () => {
  const chat = await createGroup(ada, [grace, linus]);
  expect(
    await audited(async () => {
      await setMemberRole(ada, chat, grace.userId, 'ADMIN');
      await removePerson(grace, chat, linus.userId);
    }),
  ).toEqual([
    [keyOf(ada.userId), 'SET_MEMBER_ROLE', target(grace), { ...inChat(chat), role: 'ADMIN' }],
    [keyOf(grace.userId), 'REMOVE_MEMBER', target(linus), inChat(chat)],
  ]);
});

test('a ban or a mute, and its end, has one entry that names who imposed or lifted it', async () => {
  const chat = await createGroup(ada, [grace, linus]);
  await setMemberRole(ada, chat, grace.userId, 'ADMIN');
  expect(
    await audited(async () => {
      await mute(grace, chat, linus.userId, inMinutes(5));
      await mute(ada, chat, linus.userId, null);
      // The ban also ends the membership.
      await ban(grace, chat, linus.userId);
      await unban(ada, chat, linus.userId);
      await unban(ada, chat, linus.userId);
    }),
  ).toEqual([
    [keyOf(grace.userId), 'MUTE_MEMBER', target(linus), inChat(chat)],
    [keyOf(ada.userId), 'UNMUTE_MEMBER', target(linus), inChat(chat)],
    [keyOf(grace.userId), 'BAN_MEMBER', target(linus), inChat(chat)],
    [keyOf(ada.userId), 'UNBAN_MEMBER', target(linus), inChat(chat)],
  ]);
});

test('there is no entry for what a user does to their own membership, or for what ends with its chat', async () => {
  const channel = await createPublicChannel(ada);
  const group = await createGroup(ada, [grace]);
  expect(
    await audited(async () => {
      await joinChat(linus, channel);
      await leaveChat(linus, channel);
      await setMemberRole(ada, group, grace.userId, 'MEMBER');
      await server.sql.query('delete from chats where id = $1', [keyOf(group)]);
    }),
  ).toEqual([]);
});

test('a change that is made by hand in the database has an entry without an actor', async () => {
  // This test needs a user of its own, because a suspension ends all sessions.
  const margaret = await signUp(server, 'margaret');
  const chat = await createGroup(ada, [margaret, linus]);
  const statements = [
    'delete from members where chat_id = $1 and user_id = $2',
    `insert into restrictions (chat_id, user_id, kind, reason) values ($1, $2, 'BAN', 'a secret')`,
    `update restrictions set until = now() + interval '1 day' where chat_id = $1 and user_id = $2`,
    'delete from restrictions where chat_id = $1 and user_id = $2',
    `insert into restrictions (user_id, kind) select $2, 'SUSPENSION' from chats where id = $1`,
    `delete from restrictions using chats where chats.id = $1 and user_id = $2`,
    `update users set server_role = 'MODERATOR' from chats where chats.id = $1 and users.id = $2`,
    `update users set server_role = 'USER' from chats where chats.id = $1 and users.id = $2`,
  ];
  const entries = await audited(async () => {
    for (const statement of statements) await server.sql.query(statement, [keyOf(chat), keyOf(margaret.userId)]);
  });
  expect(entries).toEqual([
    [null, 'REMOVE_MEMBER', target(margaret), inChat(chat)],
    [null, 'BAN_MEMBER', target(margaret), inChat(chat)],
    [null, 'BAN_MEMBER', target(margaret), inChat(chat)],
    [null, 'UNBAN_MEMBER', target(margaret), inChat(chat)],
    [null, 'SUSPEND_USER', target(margaret), {}],
    [null, 'UNSUSPEND_USER', target(margaret), {}],
    [null, 'SET_SERVER_ROLE', target(margaret), { role: 'MODERATOR' }],
    [null, 'SET_SERVER_ROLE', target(margaret), { role: 'USER' }],
  ]);
});

test('a restriction that has ended is deleted without an entry', async () => {
  const chat = await createGroup(ada, [grace, linus]);
  const insert = `insert into restrictions (chat_id, user_id, kind, until)
    values ($1, $2, 'MUTE', clock_timestamp() - interval '1 second')`;
  await server.sql.query(insert, [keyOf(chat), keyOf(grace.userId)]);
  const remove = 'delete from restrictions where chat_id = $1';
  expect(await audited(() => server.sql.query(remove, [keyOf(chat)]))).toEqual([]);
});

test('a message that another user deletes has an entry, and one that its sender deletes has none', async () => {
  const chat = await createGroup(ada, [grace, linus]);
  await setMemberRole(ada, chat, grace.userId, 'ADMIN');
  const ids = await Promise.all(Array.from({ length: 4 }, (_, index) => say(linus, chat, `message ${index}`)));
  const [byAda = '', byGrace = '', byLinus = '', byHand = ''] = ids;
  const entries = await audited(async () => {
    // The deletions run at the same time, so that some of them share a transaction.
    await Promise.all([deleteMessage(ada, byAda), deleteMessage(linus, byLinus), deleteMessage(grace, byGrace)]);
    await deleteMessage(grace, byAda);
    await server.sql.query('delete from messages where id = $1', [keyOf(byHand)]);
  });
  const entry = (actor: Person | null, message: string) => [
    actor === null ? null : keyOf(actor.userId),
    'DELETE_MESSAGE',
    target(linus),
    { ...inChat(chat), message: `Message:${keyOf(message)}` },
  ];
  expect(entries).toHaveLength(3);
  expect(entries).toEqual(expect.arrayContaining([entry(ada, byAda), entry(grace, byGrace), entry(null, byHand)]));
});

test('erasing an account has no entries for its messages and memberships', async () => {
  const hedy = await signUp(server, 'hedy');
  const chat = await createGroup(ada, [hedy, linus]);
  await say(hedy, chat, 'hello');
  const isThere = async () =>
    (await server.sql.query('select from users where id = $1', [keyOf(hedy.userId)])).rowCount === 1;
  const entries = await audited(async () => {
    const document =
      'mutation ($password: String!) { deleteAccount(password: $password, messages: DELETE) { __typename } }';
    await hedy.ask(document, { password: hedy.password });
    await expect.poll(isThere, { timeout: 10_000 }).toBe(false);
  });
  expect(entries).toEqual([]);
});

const insertEntry = `insert into audit_entries (created_at, actor_id, action, target_type, target_key, detail)
  values (now() - $1 * interval '1 day', $2, $3, $4, $5, $6) returning id`;

test.each([
  ['text', { reason: 'he was rude to ada' }],
  ['a name', { name: 'ada' }],
  ['an address', { email: 'ada@example.com' }],
  ['a number', { count: 1 }],
  ['an object', { chat: { id: 'Chat:1' } }],
  ['text in a list', { chats: ['Chat:1', 'a chat'] }],
  ['a list', ['Chat:1']],
])('the database refuses %s in an entry', async (_, detail) => {
  const insert = (value: unknown) =>
    server.sql.query(insertEntry, [0, null, 'BAN_MEMBER', 'User', '1', JSON.stringify(value)]);
  expect((await insert({ chats: ['Chat:1', 'Member:1_2'], role: 'ADMIN' })).rowCount).toBe(1);
  await expect(insert(detail)).rejects.toMatchObject({ constraint: 'detail_holds_ids_and_enum_values' });
});

test('no one can change an entry, or delete one while older ones remain', async () => {
  // The first entry is too young to be deleted, so the entries after it stay too.
  for (const days of [10, 400, 300, 200]) {
    await server.sql.query(insertEntry, [days, null, 'BAN_MEMBER', 'User', '77', '{}']);
  }
  const refused = { code: '23514' };
  await expect(server.sql.query(`update audit_entries set actor_id = 1`)).rejects.toMatchObject(refused);
  const remove = `delete from audit_entries where target_key = '77' and created_at < now() - $1 * interval '1 day'`;
  // This deletion would leave the first entry, which is too young to be deleted.
  await expect(server.sql.query(remove, [250])).rejects.toMatchObject(refused);
  await expect(server.sql.query('delete from audit_entries')).rejects.toMatchObject(refused);
  await expect(server.sql.query('truncate audit_entries')).rejects.toMatchObject({ code: '0A000' });
});

test('entries are pruned by age, the oldest first, up to the first one that is not old enough', async () => {
  await using other = await startServer();
  const ages = [500, 450, 380, 100, 420, 10];
  for (const days of ages) await other.sql.query(insertEntry, [days, null, 'BAN_MEMBER', 'User', '1', '{}']);
  const left = async () => {
    const { rows } = await other.sql.query(
      `select extract(day from now() - created_at)::int as age from audit_entries order by id`,
    );
    return rows.map(({ age }) => age);
  };
  expect(await pruneAuditEntries(other.sql, 365 * dayMs, 2)).toBe(2);
  expect(await left()).toEqual(ages.slice(2));
  expect(await pruneAuditEntries(other.sql, 365 * dayMs, 1_000)).toBe(1);
  expect(await pruneAuditEntries(other.sql, 365 * dayMs, 1_000)).toBe(0);
  expect(await left()).toEqual(ages.slice(3));
  // Two nodes that prune at the same time do not interfere with each other.
  const prune = () => pruneAuditEntries(other.sql, 60 * dayMs, 1_000);
  const [one, another] = await Promise.all([prune(), prune()]);
  expect(one + another).toBe(2);
  expect(await left()).toEqual([10]);
});

test('deleting the oldest entries reads none of the others', async () => {
  await using database = await createDatabase();
  await database.sql.query(`insert into audit_entries (created_at, action)
    select now() - interval '400 days', 'BAN_MEMBER' from generate_series(1, 5000)`);
  await database.sql.query('analyze audit_entries');
  const client = await database.sql.connect();
  await client.query('begin; delete from audit_entries where id = (select min(id) from audit_entries)');
  const { rows } = await client.query(
    `select seq_tup_read::int as read from pg_stat_xact_user_tables where relname = 'audit_entries'`,
  );
  await client.query('rollback');
  client.release();
  expect(rows).toEqual([{ read: 0 }]);
});
