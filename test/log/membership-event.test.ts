import { beforeAll, expect, onTestFinished, test } from 'vitest';
import { createChat, createGroup, createPublicChannel, heardBy, keyOf, say } from '../support/chat.ts';
import { type Data, type Person, signUp, signUpAll } from '../support/client.ts';
import { createDatabase } from '../support/database.ts';
import { addPeople, rolesIn, setMemberRole } from '../support/membership.ts';
import type { TestServer } from '../support/server.ts';
import { sharedServer } from '../support/shared-server.ts';
import { followChat, followEvents } from '../support/stream.ts';

let server: TestServer;
let ada: Person;
let grace: Person;
let linus: Person;
beforeAll(async () => {
  server = await sharedServer();
  [ada, grace, linus] = await signUpAll(server, 'ada', 'grace', 'linus');
});

const isRefused = { code: '23001', constraint: 'a_chat_keeps_an_owner' };

async function countIn(chat: string): Promise<{ kept: number; counted: number }> {
  const { rows } = await server.sql.query(
    `select member_count as kept, (select count(*)::int from members where chat_id = c.id) as counted
    from chats c where id = $1`,
    [keyOf(chat)],
  );
  return rows[0];
}

test('the member count is right whichever client adds or removes members, in one chat or many', async () => {
  const chats = [await createGroup(ada, [grace]), await createPublicChannel(ada), await createGroup(ada, [grace])];
  const keys = chats.map(keyOf);
  const counts = async () => Promise.all(chats.map(countIn));
  const both = (...numbers: number[]) => numbers.map((count) => ({ kept: count, counted: count }));
  expect(await counts()).toEqual(both(2, 1, 2));
  const insert = `insert into members (chat_id, user_id) select unnest($1::bigint[]), $2 on conflict do nothing`;
  await server.sql.query(insert, [keys, keyOf(linus.userId)]);
  expect(await counts()).toEqual(both(3, 2, 3));
  await server.sql.query(insert, [keys, keyOf(linus.userId)]);
  expect(await counts()).toEqual(both(3, 2, 3));
  await server.sql.query(`delete from members where chat_id = any ($1) and role = 'MEMBER'`, [keys]);
  expect(await counts()).toEqual(both(1, 1, 1));
  expect(await ada.ask('query ($id: ID!) { chat(id: $id) { memberCount } }', { id: chats[0] })).toEqual({
    chat: { memberCount: 1 },
  });
});

test('concurrent additions to the same chats, in any order, are all counted', async () => {
  const chats = await Promise.all(Array.from({ length: 4 }, () => createGroup(ada, [grace])));
  const { rows } = await server.sql.query(
    `insert into users (username, email)
    select 'crowd-' || n, n || '@crowd.example.com' from generate_series(1, 40) n returning id`,
  );
  await Promise.all(
    rows.map(({ id }, index) =>
      server.sql.query('insert into members (chat_id, user_id) select unnest($1::bigint[]), $2', [
        index % 2 === 0 ? chats.map(keyOf) : chats.map(keyOf).toReversed(),
        id,
      ]),
    ),
  );
  expect(await Promise.all(chats.map(countIn))).toEqual(chats.map(() => ({ kept: 42, counted: 42 })));
});

test('the database refuses to leave a chat with members but no owner', async () => {
  const chat = await createGroup(ada, [grace]);
  const run = (sql: string) => server.sql.query(sql, [keyOf(chat)]);
  await expect(run(`delete from members where chat_id = $1 and role = 'OWNER'`)).rejects.toMatchObject(isRefused);
  await expect(run(`update members set role = 'ADMIN' where chat_id = $1`)).rejects.toMatchObject(isRefused);
  expect(await rolesIn(chat, grace)).toEqual({ ada: 'OWNER', grace: 'MEMBER' });
  // A single statement may hand over ownership.
  await run(
    `update members set role = case role when 'OWNER' then 'MEMBER' else 'OWNER' end::member_role where chat_id = $1`,
  );
  expect(await rolesIn(chat, grace)).toEqual({ ada: 'MEMBER', grace: 'OWNER' });
});

test.each(['read committed', 'repeatable read', 'serializable'])(
  'two concurrent changes cannot leave a chat without an owner either (%s)',
  async (isolation) => {
    const ways = [
      'delete from members where chat_id = $1 and user_id = $2',
      `update members set role = 'MEMBER' where chat_id = $1 and user_id = $2`,
    ];
    for (const [first, second] of ways.flatMap((one) => ways.map((other) => [one, other] as const))) {
      const chat = await createGroup(ada, [grace, linus]);
      await setMemberRole(ada, chat, grace.userId, 'OWNER');
      const [one, other] = await Promise.all([server.sql.connect(), server.sql.connect()]);
      try {
        for (const client of [one, other]) {
          await client.query(`begin isolation level ${isolation}`);
          await client.query('select from chats');
        }
        await one.query(first, [keyOf(chat), keyOf(ada.userId)]);
        const late = other.query(second, [keyOf(chat), keyOf(grace.userId)]).then(
          () => 'done',
          ({ code }) => code,
        );
        await one.query('commit');
        // If the second transaction cannot see the changes of the first one, it gets a serialization failure.
        expect(await late).toBe(isolation === 'read committed' ? '23001' : '40001');
      } finally {
        await Promise.all([one.query('rollback'), other.query('rollback')]);
        one.release();
        other.release();
      }
      expect(await rolesIn(chat, linus)).toMatchObject({ grace: 'OWNER', linus: 'MEMBER' });
    }
  },
);

// Erased users ------------------------------------------------------------------------------------------------------------

const erase = (person: Person) => server.sql.query('delete from users where id = $1', [keyOf(person.userId)]);

test('an erased user’s chats pass to the longest-standing admin, or else to a member', async () => {
  const hedy = await signUp(server, 'hedy');
  const chat = await createGroup(hedy, [linus]);
  await addPeople(hedy, chat, [ada.userId]);
  await addPeople(hedy, chat, [grace.userId]);
  const plain = await createGroup(hedy, [ada]);
  await addPeople(hedy, plain, [grace.userId]);
  const shared = await createGroup(hedy, [ada, grace]);
  for (const { userId } of [grace, ada]) await setMemberRole(hedy, chat, userId, 'ADMIN');
  await setMemberRole(hedy, shared, grace.userId, 'OWNER');
  await using stream = await followEvents(server, ada);
  await erase(hedy);
  expect(await rolesIn(chat, ada)).toEqual({ ada: 'OWNER', grace: 'ADMIN', linus: 'MEMBER' });
  expect(await rolesIn(plain, ada)).toEqual({ ada: 'OWNER', grace: 'MEMBER' });
  expect(await rolesIn(shared, ada)).toEqual({ ada: 'MEMBER', grace: 'OWNER' });
  const heard = await heardBy(ada, stream);
  const of = (id: string) =>
    heard
      .filter((event: Data) => (event.chatId ?? event.member.chat.id) === id)
      .map((event: Data) => [event.__typename, event.userId ?? event.member.role]);
  for (const passed of [chat, plain]) {
    expect(of(passed)).toEqual([
      ['RemoveFromChat', hedy.userId],
      ['MemberUpdated', 'OWNER'],
    ]);
  }
  expect(of(shared)).toEqual([['RemoveFromChat', hedy.userId]]);
});

test('a chat is deleted with the last of its members, but a single chat stays with the other user', async () => {
  const marie = await signUp(server, 'marie');
  const { id: alone } = await createChat(marie, { type: 'PUBLIC_CHANNEL', name: 'of marie alone' });
  const { id: pair } = await createChat(marie, { type: 'SINGLE', memberIds: [ada.userId] });
  await say(marie, pair, 'farewell');
  await using reader = await followChat(server, grace, alone);
  await erase(marie);
  const ended = await reader.ended();
  expect(ended.map(({ data }) => data?.data?.chatEvents.event.__typename)).toEqual([
    'RemoveFromChat',
    'ChatDeleted',
    undefined,
    undefined,
  ]);
  expect(await rolesIn(pair, ada)).toEqual({ ada: 'MEMBER' });
  await server.sql.query('delete from members where chat_id = $1', [keyOf(pair)]);
  expect((await server.sql.query('select from chats where id = any ($1)', [[alone, pair].map(keyOf)])).rowCount).toBe(
    0,
  );
});

test('erasing a user does not deadlock with those who change their chat', async () => {
  const barbara = await signUp(server, 'barbara');
  const chat = await createGroup(ada, [barbara]);
  const client = await server.sql.connect();
  try {
    await client.query('begin');
    await client.query('select from chats where id = $1 for no key update', [keyOf(chat)]);
    const erased = erase(barbara);
    await expect
      .poll(() =>
        server.sql.query(
          `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
        ),
      )
      .toMatchObject({ rowCount: 1 });
    // If the erasure had already locked Barbara's membership, the two transactions would deadlock.
    await client.query(`update members set role = 'ADMIN' where chat_id = $1 and user_id = $2`, [
      keyOf(chat),
      keyOf(barbara.userId),
    ]);
    await client.query('commit');
    expect(await erased).toMatchObject({ rowCount: 1 });
  } finally {
    client.release();
  }
  expect(await rolesIn(chat, ada)).toEqual({ ada: 'OWNER' });
  expect(await countIn(chat)).toEqual({ kept: 1, counted: 1 });
});

// Immutable columns ---------------------------------------------------------------------------------------------------

test('a single chat stays a single chat, without roles, and no other chat becomes one', async () => {
  const { id } = await createChat(ada, { type: 'SINGLE', memberIds: [linus.userId] });
  const group = await createGroup(ada, [linus]);
  const run = (sql: string, chat: string) => server.sql.query(sql, [keyOf(chat)]);
  const stays = { code: '23514', constraint: 'a_single_chat_stays_single' };
  await expect(run(`update chats set type = 'GROUP' where id = $1`, id)).rejects.toMatchObject(stays);
  await expect(run(`update chats set type = 'SINGLE', name = null where id = $1`, group)).rejects.toMatchObject(stays);
  await expect(run(`update members set role = 'OWNER' where chat_id = $1`, id)).rejects.toMatchObject({
    code: '23514',
  });
  await run(`delete from members where chat_id = $1 and user_id = ${keyOf(ada.userId)}`, id);
  const insert = (role: string) =>
    run(`insert into members (chat_id, user_id, role) values ($1, ${keyOf(ada.userId)}, '${role}')`, id);
  await expect(insert('OWNER')).rejects.toMatchObject({ code: '23514' });
  await insert('MEMBER');
  expect(await rolesIn(id, ada)).toEqual({ ada: 'MEMBER', linus: 'MEMBER' });
});

test('the chat and the user of a membership cannot change', async () => {
  const chat = await createGroup(ada, [grace]);
  for (const change of [`user_id = ${keyOf(linus.userId)}`, 'chat_id = chat_id + 1']) {
    const moved = server.sql.query(
      `update members set ${change} where chat_id = $1 and user_id = ${keyOf(grace.userId)}`,
      [keyOf(chat)],
    );
    await expect(moved).rejects.toThrow('the chat and the user of a membership cannot be changed');
  }
});

test('the rows of new members are updated in place, however many are added together', async () => {
  const database = await createDatabase();
  onTestFinished(database.drop);
  const client = await database.sql.connect();
  onTestFinished(() => client.release());
  await client.query(
    `with people as (
      insert into users (username, email)
      select 'p' || n, 'p' || n || '@example.com' from generate_series(1, 5000) n returning id
    ), chat as (insert into chats (type, name) values ('PUBLIC_CHANNEL', 'large') returning id)
    insert into members (chat_id, user_id, role) select chat.id, people.id, 'OWNER' from chat, people`,
  );
  await client.query('select pg_stat_force_next_flush()');
  const { rows } = await client.query<{ updated: number; moved: number }>(
    `select n_tup_upd::int as updated, (n_tup_upd - n_tup_hot_upd)::int as moved
    from pg_stat_user_tables where relname = 'members'`,
  );
  expect(rows[0]?.updated).toBe(5_000);
  expect(rows[0]?.moved).toBeLessThan(50);
});
