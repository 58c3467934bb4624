import { beforeAll, expect, test } from 'vitest';
import { encodeId } from '../../src/core/id.ts';
import { maxEdits } from '../../src/message/message-edit.ts';
import {
  addMembers,
  createGroup,
  createPublicChannel,
  heardBy,
  keyOf,
  removeMember,
  say,
  sendMessage,
} from '../support/chat.ts';
import { type Data, type Person, signUpAll } from '../support/client.ts';
import { deleteMessage, editMessage, messageEventsDocument, onNode, readMessage, setRole } from '../support/message.ts';
import type { TestServer } from '../support/server.ts';
import { sharedNode, sharedServer } from '../support/shared-server.ts';
import { eventOf, followEvents, readMissed } from '../support/stream.ts';

let server: TestServer;
let otherNode: TestServer;
let ada: Person;
let grace: Person;
let linus: Person;
let chatId: string;
beforeAll(async () => {
  server = await sharedServer();
  otherNode = await sharedNode(server);
  [ada, grace, linus] = await signUpAll(server, 'ada', 'grace', 'linus');
  chatId = await createGroup(ada, [grace]);
});

const follow = (person: Person) => followEvents(server, person, { document: messageEventsDocument });
const upTo = (last: number) => Array.from({ length: last }, (_, index) => index + 1);

/** Returns a message as the database stores it. */
async function stored(id: string): Promise<Data> {
  const { rows } = await server.sql.query(
    `select m.content, m.version, (
      select array_agg(r.content order by r.version) from message_revisions r
      where (r.chat_id, r.seq) = (m.chat_id, m.seq)) as revisions
    from messages m where m.id = $1`,
    [keyOf(id)],
  );
  return rows[0];
}

test('an edited message has new content, and members can read its former content', async () => {
  const id = await say(ada, chatId, 'teh first');
  const first = await editMessage(ada, id, ' the first\r\n');
  expect(first).toMatchObject({
    __typename: 'Message',
    id,
    content: 'the first',
    deletedAt: null,
    revisions: [{ version: 1, content: 'teh first' }],
  });
  expect(Date.parse(first.editedAt)).toBeGreaterThan(0);
  const second = await editMessage(ada, id, 'the very first');
  expect(second.revisions).toEqual([
    { version: 1, content: 'teh first' },
    { version: 2, content: 'the first' },
  ]);
  expect(await readMessage(grace, id)).toEqual({ ...second, __typename: undefined });
});

test('each version has the time at which it was written', async () => {
  const id = await say(ada, chatId, 'one');
  const { editedAt } = await editMessage(ada, id, 'two');
  await editMessage(ada, id, 'three');
  const { node } = await grace.ask(
    'query ($id: ID!) { node(id: $id) { ... on Message { createdAt revisions { content createdAt } } } }',
    { id },
  );
  expect(node.revisions).toEqual([
    { content: 'one', createdAt: node.createdAt },
    { content: 'two', createdAt: editedAt },
  ]);
});

test('the chat receives an edit, unless it changes nothing', async () => {
  const id = await say(ada, chatId, 'as it was');
  const { seq } = await readMessage(ada, id);
  await using adas = await follow(ada);
  await using graces = await follow(grace);
  await using linuses = await follow(linus);
  const edited = await editMessage(ada, id, 'as it is');
  expect(await editMessage(ada, id, ' as it is ')).toEqual(edited);
  const event = {
    __typename: 'MessageEdited',
    message: { seq, content: 'as it is', revisions: [{ content: 'as it was' }] },
  };
  expect(await heardBy(ada, adas)).toEqual([event]);
  expect(await heardBy(grace, graces)).toEqual([event]);
  expect(await heardBy(linus, linuses)).toEqual([]);
  expect(await stored(id)).toEqual({ content: 'as it is', version: 2, revisions: ['as it was'] });
});

test('only its sender can edit a message, not owners and admins', async () => {
  const group = await createGroup(ada, [grace, linus]);
  await setRole(server, group, linus, 'ADMIN');
  const id = await say(grace, group, 'mine');
  expect(await editMessage(grace, id, 'still mine')).toMatchObject({ __typename: 'Message' });
  for (const other of [ada, linus]) {
    expect(await editMessage(other, id, 'not mine')).toMatchObject({ __typename: 'Forbidden', code: 'FORBIDDEN' });
  }
  expect(await stored(id)).toMatchObject({ content: 'still mine', version: 2 });
});

test('no one can edit a system message', async () => {
  const { rows } = await server.sql.query(
    `insert into messages (chat_id, kind, sender_id, content) values ($1, 'SYSTEM', $2, 'joined') returning id`,
    [keyOf(chatId), keyOf(ada.userId)],
  );
  const outcome = await editMessage(ada, encodeId('Message', rows[0].id), 'left');
  expect(outcome).toMatchObject({ __typename: 'Forbidden' });
});

test('a user who has left a channel can no longer edit anything there', async () => {
  const channel = await createPublicChannel(ada);
  await addMembers(server, channel, [grace]);
  const id = await say(grace, channel, 'while I was there');
  expect(await editMessage(grace, id, 'while I am here')).toMatchObject({ __typename: 'Message' });
  await removeMember(server, channel, grace);
  expect(await editMessage(grace, id, 'when I had gone')).toMatchObject({ __typename: 'Forbidden' });
  expect(await stored(id)).toMatchObject({ content: 'while I am here' });
});

test('a user who edits a message that they can’t see gets the same answer as if it did not exist', async () => {
  const id = await say(ada, chatId, 'among us');
  const missing = encodeId('Message', 2n ** 62n);
  expect(await editMessage(ada, id, 'still among us')).toMatchObject({ __typename: 'Message' });
  const hidden = await editMessage(linus, id, 'let me in');
  expect(hidden).toMatchObject({ __typename: 'NotFound', code: 'NOT_FOUND' });
  expect(hidden).toEqual(await editMessage(linus, missing, 'let me in'));
  expect(await readMessage(linus, id)).toBeNull();

  const group = await createGroup(ada, [grace]);
  const mine = await say(grace, group, 'mine');
  await removeMember(server, group, grace);
  expect(await editMessage(grace, mine, 'was mine')).toEqual(hidden);
});

test('an edit follows the same rules as a message', async () => {
  const id = await say(ada, chatId, 'as it should be');
  for (const content of ['', ' \n', 'a\u0007b', 'x'.repeat(10_001)]) {
    const outcome = await editMessage(ada, id, content);
    expect(outcome).toMatchObject({ __typename: 'InvalidInput', fields: [{ path: ['content'] }] });
  }
  for (const messageId of ['nonsense', '', chatId]) {
    const outcome = await editMessage(ada, messageId, 'hello');
    expect(outcome).toMatchObject({ __typename: 'InvalidInput', fields: [{ path: ['messageId'] }] });
  }
  expect(await stored(id)).toEqual({ content: 'as it should be', version: 1, revisions: null });
  const longest = '😀'.repeat(10_000);
  expect(await editMessage(ada, id, longest)).toMatchObject({ content: longest });
});

test('editing requires a signed-in user', async () => {
  const id = await say(ada, chatId, 'signed');
  const { errors } = await server.post(
    'mutation ($id: ID!) { editMessage(messageId: $id, content: "forged") { __typename } }',
    { id },
  );
  expect(errors).toMatchObject([{ extensions: { code: 'UNAUTHENTICATED' } }]);
  expect(await stored(id)).toMatchObject({ content: 'signed' });
});

test('each of many concurrent edits, on two nodes, is kept as a version', async () => {
  const id = await say(ada, chatId, 'edit 0');
  const outcomes = await Promise.all(
    upTo(20).map((number) => editMessage(number % 2 === 0 ? ada : onNode(otherNode, ada), id, `edit ${number}`)),
  );
  expect(new Set(outcomes.map(({ __typename }) => __typename))).toEqual(new Set(['Message']));
  const { content, version, revisions } = await stored(id);
  expect(version).toBe(21);
  expect(revisions).toHaveLength(20);
  expect(new Set([...revisions, content])).toEqual(new Set([0, ...upTo(20)].map((number) => `edit ${number}`)));
  const read = await readMessage(grace, id);
  expect(read.revisions.map((revision: Data) => revision.version)).toEqual(upTo(20));
});

test('a deletion wins over an edit, even at the same moment on another node', async () => {
  for (const round of upTo(10)) {
    const id = await say(ada, chatId, `round ${round}`);
    const [edited, deleted] = await Promise.all([
      editMessage(ada, id, `round ${round} again`),
      deleteMessage(onNode(otherNode, ada), id),
    ]);
    expect(['Message', 'NotFound']).toContain(edited.__typename);
    expect(deleted).toMatchObject({ __typename: 'Message', content: null, revisions: [] });
    expect(await stored(id)).toMatchObject({ content: null, revisions: null });
    const { rows } = await server.sql.query('select kind from events where message_id = $1 order by id', [keyOf(id)]);
    expect(rows.at(-1)).toEqual({ kind: 'MessageDeleted' });
  }
  const id = await say(ada, chatId, 'gone');
  await deleteMessage(ada, id);
  expect(await editMessage(ada, id, 'back')).toMatchObject({ __typename: 'NotFound' });
});

test('a message can be edited a hundred times at most', async () => {
  const id = await say(ada, chatId, 'edit 0');
  for (const number of upTo(maxEdits - 1)) {
    await server.sql.query('update messages set content = $2 where id = $1', [keyOf(id), `edit ${number}`]);
  }
  const last = await editMessage(ada, id, 'the last');
  expect(last.revisions).toHaveLength(maxEdits);
  expect(last.revisions.at(-1)).toEqual({ version: maxEdits, content: `edit ${maxEdits - 1}` });
  expect(await editMessage(ada, id, 'one more')).toMatchObject({ __typename: 'Forbidden' });
  const byHand = server.sql.query(`update messages set content = 'one more' where id = $1`, [keyOf(id)]);
  await expect(byHand).rejects.toMatchObject({ constraint: 'message_revisions_version_check' });
  expect(await stored(id)).toMatchObject({ content: 'the last', version: maxEdits + 1 });
  expect(await deleteMessage(ada, id)).toMatchObject({ content: null, revisions: [] });
});

test('an edit with psql keeps the former content, and members receive the edit', async () => {
  const id = await say(ada, chatId, 'by ada');
  await using graces = await follow(grace);
  await server.sql.query(`update messages set content = 'by psql' where id = $1`, [keyOf(id)]);
  const read = await readMessage(grace, id);
  expect(read).toMatchObject({ content: 'by psql', revisions: [{ version: 1, content: 'by ada' }] });
  expect(Date.parse(read.editedAt)).toBeGreaterThan(0);
  expect(await heardBy(grace, graces)).toMatchObject([
    { __typename: 'MessageEdited', message: { content: 'by psql', revisions: [{ content: 'by ada' }] } },
  ]);
});

test('a newcomer does not receive an edit of a message from before they joined, live or when catching up', async () => {
  const group = await createGroup(ada, [grace]);
  const old = await say(ada, group, 'before');
  await addMembers(server, group, [linus], 2);
  const recent = await say(ada, group, 'after');
  await using graces = await follow(grace);
  await using linuses = await follow(linus);
  const { cursor } = linuses;
  await editMessage(ada, old, 'before, edited');
  await editMessage(ada, recent, 'after, edited');
  const edit = (seq: number, content: string) => ({ __typename: 'MessageEdited', message: { seq, content } });
  expect(await heardBy(grace, graces)).toMatchObject([edit(1, 'before, edited'), edit(2, 'after, edited')]);
  expect(await heardBy(linus, linuses)).toMatchObject([edit(2, 'after, edited')]);
  const missed = await readMissed(server, linus, cursor, { document: messageEventsDocument });
  expect(missed.map(eventOf).filter(({ __typename }) => __typename === 'MessageEdited')).toMatchObject([
    edit(2, 'after, edited'),
  ]);
  expect(await readMessage(linus, old)).toBeNull();
});

test('while psql has locked a message, its edit waits for a limited time, and no one else waits', async () => {
  const id = await say(ada, chatId, 'held');
  const client = await server.sql.connect();
  await client.query('begin');
  await client.query(`update messages set content = 'in hand' where id = $1`, [keyOf(id)]);
  const refused = server.post(
    'mutation ($id: ID!) { editMessage(messageId: $id, content: "mine") { __typename } }',
    { id },
    { token: ada.token },
  );
  expect(await sendMessage(ada, chatId, 'in the meantime')).toMatchObject({ __typename: 'Message' });
  expect((await refused).errors).toMatchObject([{ extensions: { code: 'RATE_LIMITED', retryAfterSeconds: 1 } }]);
  await client.query('rollback');
  client.release();
  expect(await editMessage(ada, id, 'mine')).toMatchObject({ content: 'mine' });
});
