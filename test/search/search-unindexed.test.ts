import { beforeAll, expect, test } from 'vitest';
import { addMembers, createGroup, createPublicChannel, keyOf, say } from '../support/chat.ts';
import { signUpAll, type Data, type Person, type Variables } from '../support/client.ts';
import { awaitIndex, withoutIndexing } from '../support/search.ts';
import { startServer, type TestServer } from '../support/server.ts';

let server: TestServer;
let ada: Person;
let grace: Person;
let linus: Person;
beforeAll(async () => {
  server = await startServer();
  [ada, grace, linus] = await signUpAll(server, 'ada', 'grace', 'linus');
});

const document = `query ($query: String, $filter: MessageFilter, $sort: MessageSort, $first: Int, $after: String) {
  searchMessages(query: $query, filter: $filter, sort: $sort, first: $first, after: $after) {
    totalCount edges { cursor node { content } snippet } pageInfo { hasNextPage endCursor }
  }
}`;

async function search(by: Person, query: string | null, more: Variables = {}): Promise<Data> {
  return (await by.ask(document, { query, ...more })).searchMessages;
}

async function find(by: Person, query: string | null, more: Variables = {}): Promise<string[]> {
  return (await search(by, query, more)).edges.map(({ node }: Data) => node.content);
}

/** Runs `work` with these chats in the state after an upgrade, when none of their messages is in the search index. */
async function unindexed<Result>(chatIds: string[], work: () => Promise<Result>): Promise<Result> {
  await awaitIndex(server);
  return withoutIndexing(server, async () => {
    const chats = [chatIds.map(keyOf)];
    await server.sql.query(
      `delete from search_entries e using messages m where m.id = e.message_id and m.chat_id = any ($1)`,
      chats,
    );
    await server.sql.query(
      `insert into search_chat_backlog (chat_id, wanted_at) select id, last_activity_at from chats where id = any ($1)`,
      chats,
    );
    return work();
  });
}

test('messages are found before the index contains them, by every sort and filter', async () => {
  const old = await createGroup(ada, [grace]);
  const indexed = await createGroup(ada, [grace]);
  await say(ada, old, 'migrate the café, see https://example.com');
  await say(grace, indexed, 'a migration of the index');
  const pinned = await say(grace, old, '@ada migrates, too');
  await ada.ask('mutation ($id: ID!) { pinMessage(messageId: $id) { __typename } }', { id: pinned });
  await say(ada, indexed, 'Migr is short');
  const [café, index, ada2, short] = [
    'migrate the café, see https://example.com',
    'a migration of the index',
    '@ada migrates, too',
    'Migr is short',
  ];
  await unindexed([old], async () => {
    expect(await find(grace, 'migr')).toEqual([short, ada2, index, café]);
    expect(await find(grace, 'migr', { sort: 'OLDEST' })).toEqual([café, index, ada2, short]);
    expect(await find(grace, 'migrate', { sort: 'RELEVANCE' })).toEqual([café, ada2]);
    expect(await find(grace, '"the cafe"')).toEqual([café]);
    expect(await find(grace, 'migr -index or nothing')).toEqual([short, ada2, café]);
    expect(await find(grace, 'migr', { filter: { chatId: old } })).toEqual([ada2, café]);
    expect(await find(grace, 'migr', { filter: { senderId: grace.userId } })).toEqual([ada2, index]);
    expect(await find(grace, null, { filter: { chatId: old, has: 'LINK' } })).toEqual([café]);
    expect(await find(grace, null, { filter: { chatId: old, has: 'FILE' } })).toEqual([]);
    expect(await find(grace, 'migr', { filter: { isPinned: true } })).toEqual([ada2]);
    expect(await find(ada, 'migr', { filter: { mentionsViewer: true } })).toEqual([ada2]);
    expect(await find(grace, 'migr', { filter: { mentionsViewer: true } })).toEqual([]);
    expect((await search(grace, 'migr')).totalCount).toBe(4);
    expect(await find(linus, 'migr')).toEqual([]);
  });
  await awaitIndex(server);
  expect(await find(grace, 'migr')).toEqual([short, ada2, index, café]);
});

test('pages neither repeat nor miss a message while the index is filled', async () => {
  const [old, indexed] = [await createGroup(ada, [grace]), await createGroup(ada, [grace])];
  const sent: string[] = [];
  for (let count = 1; count <= 8; count += 1) {
    sent.unshift(`paging ${count}`);
    await say(ada, count % 2 === 0 ? old : indexed, `paging ${count}`);
  }
  const found: string[] = [];
  const readPage = async (after: string | null) => {
    const { edges, pageInfo } = await search(grace, 'paging', { first: 3, after });
    found.push(...edges.map(({ node }: Data) => node.content));
    return pageInfo;
  };
  const first = await unindexed([old], () => readPage(null));
  const second = await readPage(first.endCursor);
  await awaitIndex(server);
  await readPage(second.endCursor);
  expect(found).toEqual(sent);
});

test('messages that a viewer may not see are not read for them either', async () => {
  const group = await createGroup(ada, [grace]);
  await say(ada, group, 'a secret walrus');
  await addMembers(server, group, [linus], 2);
  await say(ada, group, 'a public walrus');
  const channel = await createPublicChannel(ada, 'walruses');
  await say(ada, channel, 'a walrus for everyone');
  await unindexed([group, channel], async () => {
    expect(await find(grace, 'walrus')).toEqual(['a walrus for everyone', 'a public walrus', 'a secret walrus']);
    expect(await find(linus, 'walrus')).toEqual(['a walrus for everyone', 'a public walrus']);
    await server.sql.query('delete from messages where content = $1', ['a walrus for everyone']);
    expect(await find(linus, 'walrus')).toEqual(['a public walrus']);
  });
});

test('the chats of those who search are indexed first', async () => {
  const [quiet, busy] = [await createGroup(ada, [grace]), await createGroup(ada, [linus])];
  await say(ada, quiet, 'a puffin');
  await say(ada, busy, 'another puffin');
  const listOrder = async () => {
    const { rows } = await server.sql.query<{ id: bigint }>(
      'select chat_id as id from search_chat_backlog order by wanted_at desc',
    );
    return rows.map(({ id }) => String(id));
  };
  await unindexed([quiet, busy], async () => {
    await server.sql.query(`update search_chat_backlog set wanted_at = wanted_at - interval '1 hour'`);
    expect(await listOrder()).toEqual([busy, quiet].map(keyOf));
    expect(await find(grace, 'puffin')).toEqual(['a puffin']);
    expect(await listOrder()).toEqual([quiet, busy].map(keyOf));
  });
});
