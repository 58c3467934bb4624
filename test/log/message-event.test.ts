import { beforeAll, expect, test } from 'vitest';
import { createChat, createGroup, keyOf, say, sendMessage } from '../support/chat.ts';
import { signUp, type Person } from '../support/client.ts';
import type { TestServer } from '../support/server.ts';
import { sharedServer } from '../support/shared-server.ts';

let server: TestServer;
let ada: Person;
let grace: Person;
let chatId: string;
beforeAll(async () => {
  server = await sharedServer();
  [ada, grace] = await Promise.all([signUp(server, 'ada'), signUp(server, 'grace')]);
  chatId = await createGroup(ada, [grace]);
});

async function placesIn(chat: string): Promise<number[]> {
  const { rows } = await server.sql.query('select seq from messages where chat_id = $1 order by seq', [keyOf(chat)]);
  return rows.map(({ seq }) => seq);
}

async function readMessage(by: Person, id: string) {
  const document = `query ($id: ID!) {
    node(id: $id) { ... on Message { seq content deletedAt replyTo { id content } } }
  }`;
  return (await by.ask(document, { id })).node;
}

const upTo = (last: number) => Array.from({ length: last }, (_, index) => index + 1);

test('the rows of one statement get consecutive seqs, also in several chats', async () => {
  const chats = await Promise.all([createGroup(ada, [grace]), createGroup(ada, [grace])]);
  await server.sql.query(
    `insert into messages (chat_id, sender_id, content)
    select chat_id, $2, 'message ' || n from generate_series(1, 5) n, unnest($1::bigint[]) chat_id`,
    [chats.map(keyOf), keyOf(ada.userId)],
  );
  for (const chat of chats) {
    expect(await placesIn(chat)).toEqual(upTo(5));
    expect(await sendMessage(grace, chat, 'the sixth')).toMatchObject({ seq: 6 });
  }
});

test('a row that is not inserted after all leaves no gap', async () => {
  const chat = await createGroup(ada, [grace]);
  await say(ada, chat, 'first', { clientMessageId: 'a-5' });
  const { rowCount } = await server.sql.query(
    `insert into messages (chat_id, sender_id, content, client_message_id)
    values ($1, $2, 'again', 'a-5') on conflict do nothing`,
    [keyOf(chat), keyOf(ada.userId)],
  );
  expect(rowCount).toBe(0);
  const client = await server.sql.connect();
  await client.query('begin');
  await client.query(`insert into messages (chat_id, content) values ($1, 'taken back')`, [keyOf(chat)]);
  await client.query('rollback');
  client.release();
  expect(await sendMessage(ada, chat, 'second')).toMatchObject({ seq: 2 });
});

test('a row that would leave a gap, or use a seq that is taken, is refused', async () => {
  const chat = await createGroup(ada, [grace]);
  await say(ada, chat, 'first');
  const insert = `insert into messages (chat_id, content, seq) values ($1, 'out of place', $2)`;
  await expect(server.sql.query(insert, [keyOf(chat), 3])).rejects.toMatchObject({ code: '23514' });
  await expect(server.sql.query(insert, [keyOf(chat), 1])).rejects.toMatchObject({ code: '23505' });
  await expect(server.sql.query(insert, [keyOf(chat), 0])).rejects.toMatchObject({ constraint: 'messages_seq_check' });
  expect(await server.sql.query(insert, [keyOf(chat), 2])).toMatchObject({ rowCount: 1 });
  expect(await sendMessage(ada, chat, 'third')).toMatchObject({ seq: 3 });
});

test('the seq and the id of a message cannot change', async () => {
  const id = keyOf(await say(ada, await createGroup(ada, [grace]), 'in place'));
  for (const change of ['seq = seq + 1', 'id = id + 1000000', `chat_id = ${keyOf(chatId)}`]) {
    const moved = server.sql.query(`update messages set ${change} where id = $1`, [id]);
    await expect(moved).rejects.toThrow('the chat, the seq and the id of a message cannot be changed');
  }
});

test('a deleted row leaves a tombstone in its place', async () => {
  const chat = await createGroup(ada, [grace]);
  const id = await say(ada, chat, 'to be deleted');
  const reply = await say(grace, chat, 'a reply', { replyToId: id });
  await server.sql.query('delete from messages where chat_id = $1 and seq = 1', [keyOf(chat)]);
  expect(await placesIn(chat)).toEqual([1, 2]);
  expect(await readMessage(ada, id)).toMatchObject({ seq: 1, content: null, deletedAt: expect.any(String) });
  expect(await readMessage(ada, reply)).toMatchObject({ content: 'a reply', replyTo: { id, content: null } });
});

test('the log contains what happened, but never the content of messages', async () => {
  await say(ada, chatId, 'a very particular sentence', { clientMessageId: 'a very particular name' });
  const { rows } = await server.sql.query('select to_jsonb(e)::text as event from events e');
  expect(rows.length).toBeGreaterThan(0);
  expect(rows.filter(({ event }) => event.includes('very particular'))).toEqual([]);
  expect((await server.sql.query('select from event_drafts')).rowCount).toBe(0);
});

test.each(['users', 'sessions', 'chats', 'members', 'messages', 'events'])('%s cannot be truncated', async (table) => {
  const count = async () => (await server.sql.query(`select count(*) from ${table}`)).rows;
  const before = await count();
  await expect(server.sql.query(`truncate ${table} cascade`)).rejects.toMatchObject({ code: '0A000' });
  expect(await count()).toEqual(before);
});

test('the database itself enforces the rules of a message', async () => {
  const refusals: [string, string][] = [
    [`content = ''`, 'messages_content_check'],
    [`content = E' \\n'`, 'messages_content_check'],
    [`content = E'a\\x07b'`, 'messages_content_check'],
    [`content = repeat('x', 10001)`, 'messages_content_check'],
    [`client_message_id = ''`, 'messages_client_message_id_check'],
    [`client_message_id = ' x'`, 'messages_client_message_id_check'],
    [`client_message_id = repeat('x', 65)`, 'messages_client_message_id_check'],
    [`content = null`, 'a_message_has_content_until_deleted'],
    [`deleted_at = now()`, 'a_message_has_content_until_deleted'],
    [`reply_to_seq = 1000000`, 'messages_chat_id_reply_to_seq_fkey'],
  ];
  const id = keyOf(await say(ada, chatId, 'as it should be'));
  const change = (set: string) => server.sql.query(`update messages set ${set} where id = $1`, [id]);
  const told = refusals.map(async ([set]) => [
    set,
    await change(set).then(
      () => 'none',
      ({ constraint }) => constraint,
    ),
  ]);
  expect(await Promise.all(told)).toEqual(refusals);
  expect(await change(`content = repeat('😀', 10000), client_message_id = repeat('😀', 64)`)).toMatchObject({
    rowCount: 1,
  });
});

test('the contents of a chat are deleted with it', async () => {
  const { id } = await createChat(ada, { type: 'SINGLE', memberIds: [grace.userId] });
  await say(ada, id, 'first');
  await say(ada, id, 'second');
  await server.sql.query('delete from chats where id = $1', [keyOf(id)]);
  for (const table of ['messages', 'members', 'single_chats']) {
    expect((await server.sql.query(`select from ${table} where chat_id = $1`, [keyOf(id)])).rowCount).toBe(0);
  }
  const again = await createChat(ada, { type: 'SINGLE', memberIds: [grace.userId] });
  expect(again).toMatchObject({ __typename: 'Chat', lastSeq: 0 });
  expect(again.id).not.toBe(id);
});
