import { beforeAll, expect, test } from 'vitest';
import { encodeId } from '../../src/core/id.ts';
import { createGroup, insertMessage, keyOf, say, sendMessage } from '../support/chat.ts';
import { signUp, type Person, type Variables } from '../support/client.ts';
import type { TestServer } from '../support/server.ts';
import { sharedNode, sharedServer } from '../support/shared-server.ts';

let server: TestServer;
let otherNode: TestServer;
let ada: Person;
let grace: Person;
let chatId: string;
beforeAll(async () => {
  server = await sharedServer();
  otherNode = await sharedNode(server);
  [ada, grace] = await Promise.all([signUp(server, 'ada'), signUp(server, 'grace')]);
  chatId = await createGroup(ada, [grace]);
});

/** Returns the same user with an `ask` that sends requests to the other node. */
const onOtherNode = (person: Person): Person => ({
  ...person,
  ask: (document, variables) => otherNode.ask(document, variables, person.token),
});

async function placesIn(chat: string): Promise<number[]> {
  const { rows } = await server.sql.query('select seq from messages where chat_id = $1 order by seq', [keyOf(chat)]);
  return rows.map(({ seq }) => seq);
}

const upTo = (last: number) => Array.from({ length: last }, (_, index) => index + 1);

async function readMessage(by: Person, id: string) {
  const document = `query ($id: ID!) {
    node(id: $id) { ... on Message { id seq kind content deletedAt editedAt replyTo { id content } chat { lastSeq } } }
  }`;
  return (await by.ask(document, { id })).node;
}

/** Returns the input paths in the error that refuses this input. Checks that no message is sent. */
async function refusedAt({ content = 'hello', ...more }: Variables): Promise<string[]> {
  const before = await placesIn(chatId);
  const outcome = await sendMessage(ada, chatId, String(content), more);
  expect(outcome).toMatchObject({ __typename: 'InvalidInput', code: 'INVALID_INPUT' });
  expect(await placesIn(chatId)).toEqual(before);
  return outcome.fields.map(({ path }: { path: string[] }) => path.join('.'));
}

test('a message gets its content and the next seq of its chat', async () => {
  const chat = await createGroup(ada, [grace]);
  const first = await sendMessage(ada, chat, 'what hath been wrought');
  expect(first).toMatchObject({
    __typename: 'Message',
    seq: 1,
    content: 'what hath been wrought',
    clientMessageId: null,
    sender: { username: 'ada' },
    replyTo: null,
  });
  expect(await sendMessage(grace, chat, 'a reply', { replyToId: first.id })).toMatchObject({
    seq: 2,
    sender: { username: 'grace' },
    replyTo: { id: first.id, content: 'what hath been wrought' },
  });
  expect(await readMessage(grace, first.id)).toMatchObject({
    kind: 'USER',
    editedAt: null,
    deletedAt: null,
    chat: { lastSeq: 2 },
  });
});

test('whitespace around a message is trimmed, and whitespace within it is kept', async () => {
  expect(await sendMessage(ada, chatId, '\n \u00a0 one\r\n\ttwo\rthree  four \n')).toMatchObject({
    content: 'one\n\ttwo\nthree  four',
  });
});

test('a message has 1 to 10,000 characters after trimming, counted as code points', async () => {
  const longest = '😀'.repeat(10_000);
  expect(await sendMessage(ada, chatId, ` ${longest}\n`)).toMatchObject({ content: longest });
  expect(await sendMessage(ada, chatId, 'x')).toMatchObject({ content: 'x' });
  for (const content of [`${longest}x`, 'x'.repeat(10_001), '', ' \n\t ', '\u3000']) {
    expect(await refusedAt({ content })).toEqual(['content']);
  }
});

test('control characters other than newline and tab are refused', async () => {
  for (const control of ['\u0000', '\u0008', '\u000b', '\u001b', '\u007f', '\u009f', '\ud800']) {
    expect(await refusedAt({ content: `a${control}b` })).toEqual(['content']);
  }
});

test('a clientMessageId is one line of 64 characters at most', async () => {
  const longest = '😀'.repeat(64);
  expect(await sendMessage(ada, chatId, 'hi', { clientMessageId: longest })).toMatchObject({
    clientMessageId: longest,
  });
  for (const clientMessageId of ['', ' ', 'a\nb', 'a\u0000b', `${longest}x`]) {
    expect(await refusedAt({ clientMessageId })).toEqual(['clientMessageId']);
  }
  expect(await refusedAt({ content: '', clientMessageId: '' })).toEqual(['content', 'clientMessageId']);
});

test('sending again with the same clientMessageId returns the first message', async () => {
  const first = await sendMessage(ada, chatId, 'once', { clientMessageId: 'a-1' });
  expect(first).toMatchObject({ __typename: 'Message', clientMessageId: 'a-1' });
  expect(await sendMessage(ada, chatId, ' once ', { clientMessageId: 'a-1' })).toEqual(first);
  expect(await sendMessage(onOtherNode(ada), chatId, 'once', { clientMessageId: 'a-1' })).toEqual(first);
  expect((await placesIn(chatId)).at(-1)).toBe(first.seq);
});

test('a clientMessageId belongs to its sender', async () => {
  const adas = await sendMessage(ada, chatId, 'mine', { clientMessageId: 'shared' });
  const graces = await sendMessage(grace, chatId, 'mine', { clientMessageId: 'shared' });
  expect(graces).toMatchObject({ __typename: 'Message', seq: adas.seq + 1 });
});

test('a clientMessageId that already names a different message is a conflict', async () => {
  const another = await createGroup(ada, [grace]);
  const replyToId = await say(ada, chatId, 'to be replied to');
  await say(ada, chatId, 'this', { clientMessageId: 'a-2' });
  const before = await placesIn(chatId);
  for (const repeated of [
    await sendMessage(ada, chatId, 'that', { clientMessageId: 'a-2' }),
    await sendMessage(ada, chatId, 'this', { clientMessageId: 'a-2', replyToId }),
    await sendMessage(ada, another, 'this', { clientMessageId: 'a-2' }),
  ]) {
    expect(repeated).toMatchObject({ __typename: 'Conflict', code: 'CONFLICT' });
  }
  expect(await placesIn(chatId)).toEqual(before);
  expect(await placesIn(another)).toEqual([]);
});

test('a clientMessageId still returns its message after the message was edited or deleted', async () => {
  const first = await sendMessage(ada, chatId, 'as it was', { clientMessageId: 'a-3' });
  await server.sql.query(`update messages set content = 'as it is', edited_at = now() where id = $1`, [
    keyOf(first.id),
  ]);
  expect(await sendMessage(ada, chatId, 'as it was', { clientMessageId: 'a-3' })).toMatchObject({
    id: first.id,
    content: 'as it is',
  });
  expect(await sendMessage(ada, chatId, 'as it is', { clientMessageId: 'a-3' })).toMatchObject({
    __typename: 'Conflict',
  });
  await server.sql.query('delete from messages where id = $1', [keyOf(first.id)]);
  expect(await sendMessage(ada, chatId, 'as it was', { clientMessageId: 'a-3' })).toMatchObject({
    id: first.id,
    content: null,
  });
});

test('of many concurrent requests with the same clientMessageId, on two nodes, one creates the message', async () => {
  const chat = await createGroup(ada, [grace]);
  const sent = await Promise.all(
    upTo(10).map((index) =>
      sendMessage(index % 2 === 0 ? ada : onOtherNode(ada), chat, 'only once', { clientMessageId: 'a-4' }),
    ),
  );
  expect(new Set(sent.map(({ __typename, id }) => `${__typename} ${id}`)).size).toBe(1);
  expect(sent[0]).toMatchObject({ __typename: 'Message', seq: 1 });
  expect(await placesIn(chat)).toEqual([1]);
});

test('of two different messages with one clientMessageId, sent to two chats at the same time, one is a conflict', async () => {
  const chats = await Promise.all([createGroup(ada, [grace]), createGroup(ada, [grace])]);
  for (const round of upTo(5)) {
    const sent = await Promise.all(
      chats.map((chat, index) =>
        sendMessage(index === 0 ? ada : onOtherNode(ada), chat, 'here', { clientMessageId: `round-${round}` }),
      ),
    );
    expect(new Set(sent.map(({ __typename }) => __typename))).toEqual(new Set(['Message', 'Conflict']));
  }
  const places = await Promise.all(chats.map(placesIn));
  expect(places.map(({ length }) => length).reduce((one, other) => one + other)).toBe(5);
  for (const each of places) expect(each).toEqual(upTo(each.length));
});

test('a reply must be in the same chat as the message that it replies to', async () => {
  const another = await createGroup(ada, [grace]);
  const elsewhere = await say(ada, another, 'elsewhere');
  expect(await sendMessage(ada, another, 'yes', { replyToId: elsewhere })).toMatchObject({
    replyTo: { id: elsewhere },
  });
  expect(await refusedAt({ replyToId: elsewhere })).toEqual(['replyToId']);
  for (const replyToId of [encodeId('Message', 2n ** 62n), encodeId('Chat', 1), 'nonsense', '']) {
    expect(await refusedAt({ replyToId })).toEqual(['replyToId']);
  }
});

test('an id that is not that of a chat is InvalidInput, and a missing chat is NotFound', async () => {
  for (const id of ['nonsense', '', encodeId('User', 1), encodeId('Chat', '9223372036854775808')]) {
    const outcome = await sendMessage(ada, id, 'hello');
    expect(outcome).toMatchObject({ __typename: 'InvalidInput', fields: [{ path: ['chatId'] }] });
  }
  expect(await sendMessage(ada, encodeId('Chat', 2n ** 62n), 'hello')).toMatchObject({
    __typename: 'NotFound',
    code: 'NOT_FOUND',
  });
});

test('sending requires a signed-in user', async () => {
  const before = await placesIn(chatId);
  const { data, errors } = await server.post(
    'mutation ($chatId: ID!) { sendMessage(input: { chatId: $chatId, content: "hello" }) { __typename } }',
    { chatId },
  );
  expect(data ?? null).toBeNull();
  expect(errors).toMatchObject([{ extensions: { code: 'UNAUTHENTICATED' } }]);
  expect(await placesIn(chatId)).toEqual(before);
});

test('seqs have no gaps, with fifty senders on two nodes and psql at the same time', async () => {
  const chat = await createGroup(ada, [grace]);
  const sends = upTo(50).map((index) => {
    const sender = index % 3 === 0 ? grace : ada;
    return sendMessage(index % 2 === 0 ? sender : onOtherNode(sender), chat, `message ${index}`);
  });
  const inserts = upTo(20).map((index) => insertMessage(server, chat, grace, `insert ${index}`));
  const sent = await Promise.all(sends);
  await Promise.all(inserts);
  for (const { __typename } of sent) expect(__typename).toBe('Message');
  expect(await placesIn(chat)).toEqual(upTo(70));
  const { rows } = await server.sql.query(
    `select c.last_seq, (select array_agg(seq order by id) from events where kind = 'NewMessage' and chat_id = c.id) as told
    from chats c where id = $1`,
    [keyOf(chat)],
  );
  expect(rows).toEqual([{ last_seq: 70, told: upTo(70) }]);
});
