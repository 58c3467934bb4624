import { beforeAll, expect, test, vi } from 'vitest';
import { GroupCommit } from '../../src/chat/group-commit.ts';
import { encodeId } from '../../src/core/id.ts';
import { deleteMessage as deleteByRule } from '../../src/message/message-deletion.ts';
import { connectDatabase, disconnectDatabase } from '../../src/postgres/client.ts';
import {
  addMembers,
  createChat,
  createGroup,
  createPublicChannel,
  heardBy,
  keyOf,
  removeMember,
  say,
  sendMessage,
} from '../support/chat.ts';
import { type Data, type Person, signUpAll } from '../support/client.ts';
import {
  addReaction,
  deleteMessage,
  editMessage,
  messageEventsDocument,
  onNode,
  pinMessage,
  readMessage,
  setRole,
} from '../support/message.ts';
import type { TestServer } from '../support/server.ts';
import { sharedNode, sharedServer } from '../support/shared-server.ts';
import { eventOf, followEvents, readMissed } from '../support/stream.ts';

let server: TestServer;
let otherNode: TestServer;
let ada: Person;
let grace: Person;
let linus: Person;
let alan: Person;
let chatId: string;
beforeAll(async () => {
  server = await sharedServer();
  otherNode = await sharedNode(server);
  [ada, grace, linus, alan] = await signUpAll(server, 'ada', 'grace', 'linus', 'alan');
  chatId = await createGroup(ada, [grace]);
});

const follow = (person: Person) => followEvents(server, person, { document: messageEventsDocument });
const tombstone = { content: null, revisions: [], reactions: [], mentions: [], deletedAt: expect.any(String) };

/** Creates a message with a revision, mentions, a reaction and a pin. All its texts contain the given word. */
async function sayMuch(chat: string, word: string): Promise<string> {
  const id = await say(ada, chat, `@grace, ${word} is what I say`);
  await editMessage(ada, id, `@grace and @everyone, ${word} is what I meant`);
  await addReaction(grace, id, '🦜');
  await pinMessage(ada, id);
  return id;
}

/** Returns the tables that contain this text. */
async function tablesWith(text: string): Promise<string[]> {
  const { rows } = await server.sql.query(
    `select c.relname as name from pg_class c where c.relnamespace = 'public'::regnamespace and c.relkind = 'r'`,
  );
  const found: string[] = [];
  for (const { name } of rows) {
    const { rowCount } = await server.sql.query(`select from ${name} t where strpos(t::text, $1) > 0 limit 1`, [text]);
    if (rowCount === 1) found.push(name);
  }
  return found.toSorted();
}

/** Returns how many rows are attached to a message. */
async function countHanging(id: string): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const table of ['message_revisions', 'reactions', 'reaction_counts', 'mentions', 'pins']) {
    const { rowCount } = await server.sql.query(
      `select from ${table} join messages m using (chat_id, seq) where m.id = $1`,
      [keyOf(id)],
    );
    counts[table] = rowCount ?? 0;
  }
  return counts;
}

const all = { message_revisions: 1, reactions: 1, reaction_counts: 1, mentions: 1, pins: 1 };
const none = { message_revisions: 0, reactions: 0, reaction_counts: 0, mentions: 0, pins: 0 };

test('a deleted message leaves a tombstone, and all its content and everything attached to it is gone for good', async () => {
  const id = await sayMuch(chatId, 'tabernacle');
  const before = await readMessage(grace, id);
  expect(before).toMatchObject({
    content: '@grace and @everyone, tabernacle is what I meant',
    revisions: [{ content: '@grace, tabernacle is what I say' }],
    reactions: [{ emoji: '🦜', count: 1 }],
    mentions: [{ isEveryone: true }, { user: { username: 'grace' } }],
  });
  expect(await countHanging(id)).toEqual(all);
  expect(await tablesWith('tabernacle')).toEqual(expect.arrayContaining(['message_revisions', 'messages']));

  const deleted = await deleteMessage(ada, id);
  expect(deleted).toMatchObject({ __typename: 'Message', id, seq: before.seq, ...tombstone });
  expect(await readMessage(grace, id)).toEqual({ ...deleted, __typename: undefined });
  expect(await countHanging(id)).toEqual(none);
  expect(await tablesWith('tabernacle')).toEqual([]);
  const { chat } = await ada.ask('query ($id: ID!) { chat(id: $id) { pinnedMessages { id } } }', { id: chatId });
  expect(chat.pinnedMessages).toEqual([]);
});

test('deleting the row with psql deletes everything attached, too', async () => {
  const id = await sayMuch(chatId, 'by hand');
  expect(await countHanging(id)).toEqual(all);
  await server.sql.query('delete from messages where id = $1', [keyOf(id)]);
  expect(await readMessage(grace, id)).toMatchObject(tombstone);
  expect(await countHanging(id)).toEqual(none);
});

test('the chat receives one event for a deletion, and none for what is deleted with it', async () => {
  const id = await sayMuch(chatId, 'soon gone');
  const { seq } = await readMessage(ada, id);
  await using graces = await follow(grace);
  await using linuses = await follow(linus);
  const deleted = await deleteMessage(ada, id);
  expect(await deleteMessage(ada, id)).toEqual(deleted);
  const event = { __typename: 'MessageDeleted', message: { seq, content: null, deletedAt: deleted.deletedAt } };
  expect(await heardBy(grace, graces)).toEqual([event]);
  expect(await heardBy(linus, linuses)).toEqual([]);
  const { rows } = await server.sql.query('select kind from events where message_id = $1 order by id', [keyOf(id)]);
  const kinds = rows.map(({ kind }) => kind);
  expect(kinds).toEqual(['NewMessage', 'MessageEdited', 'ReactionsChanged', 'PinsChanged', 'MessageDeleted']);
});

test('a user who catches up after a deletion no longer receives reactions and pins', async () => {
  await using graces = await follow(grace);
  const { cursor } = graces;
  const id = await sayMuch(chatId, 'soon gone');
  await graces.next('PinsChanged');
  await deleteMessage(ada, id);
  await graces.next('MessageDeleted');
  const missed = await readMissed(server, grace, cursor, { document: messageEventsDocument });
  const kinds = missed.map((frame) => eventOf(frame).__typename);
  expect(kinds).toEqual(['NewMessage', 'MessageEdited', 'MessageDeleted', 'CaughtUp']);
  expect(JSON.stringify(missed)).not.toContain('soon gone');
  expect(JSON.stringify(missed)).not.toContain('🦜');
});

test('two users who delete a message at the same time, on two nodes, delete it once', async () => {
  const id = await say(grace, chatId, 'once');
  await using graces = await follow(grace);
  const [one, other] = await Promise.all([deleteMessage(grace, id), deleteMessage(onNode(otherNode, ada), id)]);
  expect(one).toMatchObject({ __typename: 'Message', ...tombstone });
  expect(other).toEqual(one);
  expect(await heardBy(grace, graces)).toMatchObject([{ __typename: 'MessageDeleted' }]);
});

test.each([
  ['GROUP', 'OWNER', 'Message'],
  ['GROUP', 'ADMIN', 'Message'],
  ['GROUP', 'MEMBER', 'Forbidden'],
  ['PRIVATE_CHANNEL', 'OWNER', 'Message'],
  ['PRIVATE_CHANNEL', 'ADMIN', 'Message'],
  ['PRIVATE_CHANNEL', 'MEMBER', 'Forbidden'],
  ['PUBLIC_CHANNEL', 'OWNER', 'Message'],
  ['PUBLIC_CHANNEL', 'ADMIN', 'Message'],
  ['PUBLIC_CHANNEL', 'MEMBER', 'Forbidden'],
])('in a %s another’s message is deleted by a user who is %s: %s', async (type, role, expected) => {
  const { id: chat } = await createChat(ada, { type, name: 'a chat', memberIds: [grace.userId, linus.userId] });
  await setRole(server, chat, linus, role);
  const id = await say(grace, chat, 'said by grace');
  const ofOwner = await say(ada, chat, 'said by ada');
  expect(await deleteMessage(linus, id)).toMatchObject({ __typename: expected });
  expect(await readMessage(ada, id)).toMatchObject({ content: expected === 'Message' ? null : 'said by grace' });
  // The same applies to a message from an owner.
  expect(await deleteMessage(linus, ofOwner)).toMatchObject({ __typename: expected });
  expect(await deleteMessage(linus, await say(linus, chat, 'my own'))).toMatchObject({ __typename: 'Message' });
});

test('in a single chat each user can delete their own messages, and not the other’s', async () => {
  const { id: chat } = await createChat(ada, { type: 'SINGLE', memberIds: [grace.userId] });
  const [adas, graces] = [await say(ada, chat, 'from ada'), await say(grace, chat, 'from grace')];
  for (const [person, message] of [
    [grace, adas],
    [ada, graces],
  ] as const) {
    expect(await deleteMessage(person, message)).toMatchObject({ __typename: 'Forbidden', code: 'FORBIDDEN' });
  }
  expect(await deleteMessage(ada, adas)).toMatchObject({ __typename: 'Message', ...tombstone });
  expect(await deleteMessage(grace, graces)).toMatchObject({ __typename: 'Message', ...tombstone });
});

test('repeating a deletion succeeds only for users who may delete the message', async () => {
  const group = await createGroup(ada, [grace, linus]);
  const id = await say(grace, group, 'gone');
  const deleted = await deleteMessage(grace, id);
  expect(await deleteMessage(ada, id)).toEqual(deleted);
  expect(await deleteMessage(linus, id)).toMatchObject({ __typename: 'Forbidden' });
});

test('a system message can be deleted by owners and admins, not by the user it is about', async () => {
  const group = await createGroup(ada, [grace]);
  const { rows } = await server.sql.query(
    `insert into messages (chat_id, kind, sender_id, content) values ($1, 'SYSTEM', $2, 'joined') returning id`,
    [keyOf(group), keyOf(grace.userId)],
  );
  const id = encodeId('Message', rows[0].id);
  expect(await deleteMessage(grace, id)).toMatchObject({ __typename: 'Forbidden' });
  expect(await deleteMessage(ada, id)).toMatchObject({ __typename: 'Message', ...tombstone });
});

test('in a public channel, a reader who is not a member can delete only the messages that they sent as a member', async () => {
  const channel = await createPublicChannel(ada);
  const adas = await say(ada, channel, 'to all');
  await addMembers(server, channel, [linus]);
  const mine = await say(linus, channel, 'me too');
  await removeMember(server, channel, linus);
  expect(await deleteMessage(linus, adas)).toMatchObject({ __typename: 'Forbidden' });
  expect(await deleteMessage(linus, mine)).toMatchObject({ __typename: 'Message', ...tombstone });
});

test('a user who deletes a message that they can’t see gets the same answer as if it did not exist', async () => {
  const id = await say(ada, chatId, 'among us');
  const missing = encodeId('Message', 2n ** 62n);
  const hidden = await deleteMessage(linus, id);
  expect(hidden).toMatchObject({ __typename: 'NotFound', code: 'NOT_FOUND' });
  expect(hidden).toEqual(await deleteMessage(linus, missing));
  expect(await readMessage(ada, id)).toMatchObject({ content: 'among us' });

  const group = await createGroup(ada, [grace]);
  const mine = await say(grace, group, 'mine');
  await removeMember(server, group, grace);
  expect(await deleteMessage(grace, mine)).toEqual(hidden);

  const before = await say(ada, group, 'before');
  await server.sql.query(`insert into members (chat_id, user_id, role, visible_from_seq) values ($1, $2, 'ADMIN', 3)`, [
    keyOf(group),
    keyOf(linus.userId),
  ]);
  const after = await say(ada, group, 'after');
  expect(await deleteMessage(linus, after)).toMatchObject({ __typename: 'Message', ...tombstone });
  expect(await deleteMessage(linus, before)).toEqual(hidden);
});

test('an id that is not that of a message is answered with BAD_REQUEST, and deleting requires a signed-in user', async () => {
  const document = 'mutation ($id: ID!) { deleteMessage(messageId: $id) { __typename } }';
  for (const id of ['nonsense', '', chatId]) {
    const { errors } = await server.post(document, { id }, { token: ada.token });
    expect(errors).toMatchObject([{ extensions: { code: 'BAD_REQUEST' } }]);
  }
  const id = await say(ada, chatId, 'still here');
  const { errors } = await server.post(document, { id });
  expect(errors).toMatchObject([{ extensions: { code: 'UNAUTHENTICATED' } }]);
  expect(await readMessage(ada, id)).toMatchObject({ content: 'still here' });
});

test('a reply survives the message it replies to, which stays as a tombstone', async () => {
  const id = await say(ada, chatId, 'a question');
  const reply = await sendMessage(grace, chatId, 'an answer', { replyToId: id });
  expect(reply.replyTo).toEqual({ id, content: 'a question' });
  await deleteMessage(ada, id);
  const document = `query ($id: ID!) {
    node(id: $id) { ... on Message { content replyTo { id content deletedAt sender { username } } } }
  }`;
  const { node } = await grace.ask(document, { id: reply.id });
  expect(node).toEqual({
    content: 'an answer',
    replyTo: { id, content: null, deletedAt: expect.any(String), sender: { username: 'ada' } },
  });
  await deleteMessage(grace, reply.id);
  expect((await ada.ask(document, { id: reply.id })).node).toMatchObject({ content: null, replyTo: { id } });
});

test('seqs stay taken: a tombstone is in the list, and the next message follows it', async () => {
  const group = await createGroup(ada, [grace]);
  await say(ada, group, 'one');
  const last = await say(ada, group, 'two');
  await deleteMessage(ada, last);
  expect(await sendMessage(ada, group, 'three')).toMatchObject({ seq: 3 });
  const { chat } = await grace.ask(
    'query ($id: ID!) { chat(id: $id) { messages { edges { node { seq content } } } } }',
    {
      id: group,
    },
  );
  expect(chat.messages.edges.map(({ node }: Data) => node)).toEqual([
    { seq: 1, content: 'one' },
    { seq: 2, content: null },
    { seq: 3, content: 'three' },
  ]);
});

test('a newcomer does not receive the deletion of a message from before they joined, live or when catching up', async () => {
  const group = await createGroup(ada, [grace]);
  const old = await say(ada, group, 'before');
  await addMembers(server, group, [alan], 2);
  const recent = await say(ada, group, 'after');
  await using graces = await follow(grace);
  await using alans = await follow(alan);
  const { cursor } = alans;
  await deleteMessage(ada, old);
  await deleteMessage(ada, recent);
  const deletion = (seq: number) => ({ __typename: 'MessageDeleted', message: { seq } });
  expect(await heardBy(grace, graces)).toMatchObject([deletion(1), deletion(2)]);
  expect(await heardBy(alan, alans)).toMatchObject([deletion(2)]);
  const missed = await readMissed(server, alan, cursor, { document: messageEventsDocument });
  expect(missed.map(eventOf).filter(({ __typename }) => __typename === 'MessageDeleted')).toMatchObject([deletion(2)]);
});

test('nothing can be attached to a tombstone, and it cannot be restored, even with psql', async () => {
  const id = await say(ada, chatId, 'gone');
  await deleteMessage(ada, id);
  const place = `(select chat_id from messages where id = ${keyOf(id)}), (select seq from messages where id = ${keyOf(id)})`;
  for (const [statement, message] of [
    [`insert into reactions (chat_id, seq, user_id, emoji) values (${place}, ${keyOf(ada.userId)}, '👍')`, 'reactions'],
    [`insert into mentions (chat_id, seq, user_id) values (${place}, ${keyOf(ada.userId)})`, 'cannot have mentions'],
    [`insert into pins (chat_id, seq) values (${place})`, 'cannot be pinned'],
    [`update messages set content = 'back', deleted_at = null where id = ${keyOf(id)}`, 'cannot be changed'],
    [`update messages set deleted_at = now() where id = ${keyOf(id)}`, 'cannot be changed'],
  ] as const) {
    await expect(server.sql.query(statement), statement).rejects.toThrow(message);
  }
  expect(await readMessage(ada, id)).toMatchObject(tombstone);
  expect(await countHanging(id)).toEqual(none);
});

test('when a whole chat is deleted, everything attached to its messages is deleted with it, and there is no other event', async () => {
  const group = await createGroup(ada, [grace]);
  const id = await sayMuch(group, 'in passing');
  expect(await countHanging(id)).toEqual(all);
  await using graces = await follow(grace);
  await server.sql.query('delete from chats where id = $1', [keyOf(group)]);
  for (const table of ['message_revisions', 'reactions', 'reaction_counts', 'mentions', 'pins']) {
    const { rowCount } = await server.sql.query(`select from ${table} where chat_id = $1`, [keyOf(group)]);
    expect(rowCount, table).toBe(0);
  }
  expect(await heardBy(grace, graces)).toEqual([{ __typename: 'ChatDeleted', chatId: group }]);
  expect(await tablesWith('in passing')).toEqual([]);
});

test('when a sender and an admin delete one message in the same transaction, the first one counts and the batch succeeds', async () => {
  const group = await createGroup(ada, [linus]);
  const [first, second] = [await say(linus, group, 'one'), await say(linus, group, 'two')];
  const db = connectDatabase({
    url: server.database.url,
    maxConnections: 5,
    statementTimeoutMs: null,
    onError: () => {},
  });
  const writes = new GroupCommit(db.pool);
  const submit = vi.spyOn(writes, 'submit');
  const remove = (by: Person, id: string) => {
    const asker = { kind: 'SESSION', userId: BigInt(keyOf(by.userId)), sessionId: 0n, expiresAt: new Date() } as const;
    return deleteByRule({ db, writes }, asker, { messageId: BigInt(keyOf(id)) });
  };
  const lastEntry = async () => {
    const read = `select coalesce(pg_sequence_last_value('audit_entries_id_seq'), 0)::int as id`;
    return (await server.sql.query<{ id: number }>(read)).rows[0]?.id ?? 0;
  };
  const submitted = async (count: number) => {
    await expect.poll(() => submit.mock.calls.length).toBe(count);
  };
  const holder = await server.sql.connect();
  await holder.query('begin');
  await holder.query('select from chats where id = $1 for update', [keyOf(group)]);
  // The first deletion waits for the lock, and the next two deletions share the transaction after it.
  const deletions = [remove(ada, first)];
  await submitted(1);
  deletions.push(remove(ada, second));
  await submitted(2);
  deletions.push(remove(linus, second));
  await submitted(3);
  const before = await lastEntry();
  await holder.query('rollback');
  holder.release();
  for (const message of await Promise.all(deletions)) expect(message).toMatchObject({ content: null });
  // If a transaction had failed and been retried, there would be a gap in the ids.
  expect((await lastEntry()) - before).toBe(2);
  await disconnectDatabase(db);
});
