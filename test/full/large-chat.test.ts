import { beforeAll, expect, test } from 'vitest';
import { encodeId } from '../../src/core/id.ts';
import { createChat, heardBy, keyOf, sendMessage } from '../support/chat.ts';
import { type Data, type Person, signUpAll } from '../support/client.ts';
import {
  addPeople,
  deleteChat,
  joinChat,
  leaveChat,
  removePerson,
  setMemberRole,
  updateChat,
} from '../support/membership.ts';
import { onNode } from '../support/message.ts';
import { costOf, quiet, setForNewConnections, startExplainedServer, type Cost } from '../support/plans.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { followEvents } from '../support/stream.ts';

const crowdSize = 50_000;
const strangerCount = 6_000;

type People = { ada: Person; grace: Person; linus: Person };
let server: TestServer;
let people: People;
/** Two public channels that Ada owns. Grace is in both of them, and the large one also has a crowd. */
let small: string;
let large: string;
/** Users who are only in small groups. There are thousands of these groups. */
let strangers: string[];
let heardOfCrowd: Data[];

beforeAll(async () => {
  server = await startExplainedServer();
  const [ada, grace, linus] = await signUpAll(server, 'ada', 'grace', 'linus');
  people = { ada, grace, linus };
  [small, large] = (await Promise.all(
    ['small', 'large'].map(
      async (name) => (await createChat(ada, { type: 'PUBLIC_CHANNEL', name, memberIds: [grace.userId] })).id,
    ),
  )) as [string, string];
  const { rows } = await server.sql.query(
    `insert into users (username, email)
    select 'p' || n, 'p' || n || '@example.com' from generate_series(1, $1) n returning id`,
    [crowdSize + strangerCount],
  );
  const keys: bigint[] = rows.map(({ id }) => BigInt(id));
  strangers = keys.slice(0, strangerCount).map((key) => encodeId('User', key));
  await using stream = await followEvents(server, grace);
  await server.sql.query('insert into members (chat_id, user_id) select $1, unnest($2::bigint[])', [
    keyOf(large),
    keys.slice(strangerCount),
  ]);
  heardOfCrowd = await heardBy(grace, stream);
  await server.sql.query(
    `with made as (insert into chats (type) select 'GROUP' from generate_series(1, 5000) returning id)
    insert into members (chat_id, user_id, role) select id, $1::bigint + id % 5000, 'OWNER'::member_role from made
    union all select id, $1::bigint + 5000 + id % 900, 'MEMBER' from made`,
    [keys[0]],
  );
  await server.sql.query('analyze');
}, 120_000);

/**
 * Expects that an operation costs about the same in both chats. The limit allows for a B-tree that is one level higher,
 * for concurrent reads by the feed, and for other efficient query plans with a thousand users. Reading a whole chat
 * would cost thousands of times as much.
 */
function expectAsCheap(name: string, crowded: Cost, once: Cost): void {
  const told = `${name}: ${JSON.stringify({ once, crowded })}`;
  expect(crowded.statements, told).toBeLessThanOrEqual(once.statements + 10);
  expect(crowded.rows, told).toBeLessThanOrEqual(once.rows * 2.5 + 100);
  expect(crowded.blocks, told).toBeLessThanOrEqual(once.blocks * 2 + 300);
}

/**
 * Returns operations in a chat that run one after another, each with its expected result. The last ids belong to
 * newcomers: first a single user, and then a thousand users.
 */
function operationsOf(
  { ada, grace, linus }: People,
  [newcomer = '', ...newcomers]: string[],
): [string, (chat: string) => Promise<unknown>, object][] {
  const page = '{ edges { node { id role user { username } } } pageInfo { hasNextPage } }';
  const read = (by: Person, part: string) => async (chat: string) =>
    by.ask(`query ($id: ID!) { chat(id: $id) { id ${part} } }`, { id: chat });
  return [
    ['adding one', (chat) => addPeople(ada, chat, [newcomer]), { __typename: 'Chat' }],
    ['adding one who is there', (chat) => addPeople(ada, chat, [newcomer]), { __typename: 'Chat' }],
    ['removing', (chat) => removePerson(ada, chat, newcomer), { __typename: 'Chat' }],
    ['joining', (chat) => joinChat(linus, chat), { __typename: 'Chat' }],
    ['giving a role', (chat) => setMemberRole(ada, chat, linus.userId, 'OWNER'), { role: 'OWNER' }],
    ['taking it back', (chat) => setMemberRole(ada, chat, linus.userId, 'MEMBER'), { role: 'MEMBER' }],
    ['leaving', (chat) => leaveChat(linus, chat), { __typename: 'ChatGone' }],
    ['refusing the last owner', (chat) => leaveChat(ada, chat), { __typename: 'LastOwner' }],
    ['adding a thousand', (chat) => addPeople(ada, chat, newcomers), { __typename: 'Chat' }],
    ['changing', (chat) => updateChat(ada, chat, { description: newcomer }), { description: newcomer }],
    ['sending', (chat) => sendMessage(grace, chat, 'hello'), { __typename: 'Message' }],
    ['its messages', read(grace, 'messages(last: 2) { edges { node { content sender { username } } } }'), {}],
    ['its first members', read(grace, `members(first: 2) ${page}`), {}],
    ['its last members', read(grace, `members(last: 2) ${page}`), {}],
    ['how many they are', read(grace, 'memberCount viewerMembership { role unreadCount }'), {}],
    ["a reader's look", read(linus, 'name viewerMembership { id } messages { edges { cursor } }'), {}],
  ];
}

test('adding 50,000 users together creates one event', () => {
  expect(heardOfCrowd).toMatchObject([{ __typename: 'AddToChat', addedCount: crowdSize }]);
  expect(heardOfCrowd[0].members).toHaveLength(100);
});

// After some time on a connection, PostgreSQL may switch to one generic plan for all parameters.
test.each(['auto', 'force_generic_plan'])(
  'a chat of 50,000 costs what a small one costs, whatever is done in it (plans: %s)',
  { timeout: 120_000 },
  async (mode) => {
    await setForNewConnections(server.database, { plan_cache_mode: mode });
    await using node = await startServer({ database: server.database, overrides: quiet });
    const { ada, grace, linus } = people;
    const here = { ada: onNode(node, ada), grace: onNode(node, grace), linus: onNode(node, linus) };
    const newcomers = mode === 'auto' ? strangers.slice(0, 1_001) : strangers.slice(2_000, 3_001);
    for (const [name, operate, expected] of operationsOf(here, newcomers)) {
      const costs: Cost[] = [];
      const run = async (chat: string) => expect([name, await operate(chat)]).toMatchObject([name, expected]);
      for (const chat of [small, large]) costs.push(await costOf(node, () => run(chat)));
      const [once, crowded] = costs as [Cost, Cost];
      expectAsCheap(name, crowded, once);
      // The number of rows does not depend on the number of chats and users: triggers and foreign keys read a few rows
      // for each member.
      expect(once.rows, name).toBeLessThan(150 + 30 * (name === 'adding a thousand' ? 1_000 : 1));
    }
  },
);

test('deleting a chat takes time in proportion to its contents', { timeout: 120_000 }, async () => {
  const { ada, grace } = people;
  await server.sql.query(
    `insert into messages (chat_id, seq, sender_id, content, reply_to_seq)
    select c.id, c.last_seq + n, $2, 'message ' || n, nullif(c.last_seq + n - 1, 0)
    from chats c, generate_series(1, 3000) n where c.id = $1 order by n`,
    [keyOf(small), keyOf(grace.userId)],
  );
  await server.sql.query('analyze');
  await using stream = await followEvents(server, grace);
  const gone = { __typename: 'ChatGone' };
  const withMessages = await costOf(server, async () => expect(await deleteChat(ada, small)).toMatchObject(gone));
  const withMembers = await costOf(server, async () => expect(await deleteChat(ada, large)).toMatchObject(gone));
  expect(withMessages.blocks).toBeLessThan(3_000 * 30);
  expect(withMembers.blocks).toBeLessThan(crowdSize * 20);
  expect(await heardBy(grace, stream)).toEqual([small, large].map((chatId) => ({ __typename: 'ChatDeleted', chatId })));
});
