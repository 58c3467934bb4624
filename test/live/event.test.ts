import { beforeAll, expect, test } from 'vitest';
import {
  addMembers,
  createChat,
  createGroup,
  createPublicChannel,
  heardBy,
  insertMessage,
  keyOf,
  removeMember,
  say,
} from '../support/chat.ts';
import { type Data, type Person, signUp, signUpAll } from '../support/client.ts';
import type { TestServer } from '../support/server.ts';
import { sharedNode, sharedServer } from '../support/shared-server.ts';
import { envelopeOf, eventOf, followChat, followEvents, type EventStream, type Frame } from '../support/stream.ts';

let server: TestServer;
let otherNode: TestServer;
let ada: Person;
let grace: Person;
let linus: Person;
let alan: Person;
beforeAll(async () => {
  server = await sharedServer();
  otherNode = await sharedNode(server);
  [ada, grace, linus, alan] = await signUpAll(server, 'ada', 'grace', 'linus', 'alan');
});

type Listeners = AsyncDisposable & { heard: () => Promise<Data[][]> };

/**
 * Lets each of these people follow all of their own events. `heard` returns what each user has received since the last
 * call (at first, since `listen`), in the order of the users.
 */
async function listen(...people: Person[]): Promise<Listeners> {
  // Half of the users are on each node, because every node must behave in the same way.
  const streams = await Promise.all(
    people.map((person, index) => followEvents(index % 2 === 0 ? server : otherNode, person)),
  );
  return {
    heard: () => Promise.all(people.map((person, index) => heardBy(person, streams[index] as EventStream))),
    [Symbol.asyncDispose]: async () => void (await Promise.all(streams.map((stream) => stream.close()))),
  };
}

const namesOf = (members: { user: { username: string } }[]) => members.map(({ user }) => user.username);

test('the first members of a new chat receive it, its creator included, and no one else does', async () => {
  await using listeners = await listen(ada, grace, linus);
  const id = await createGroup(ada, [grace], 'engines');
  const event = { __typename: 'NewChat', chat: { id, type: 'GROUP', name: 'engines' } };
  expect(await listeners.heard()).toEqual([[event], [event], []]);
});

test('both users receive a single chat once, however often either asks for it again', async () => {
  await using listeners = await listen(ada, alan, linus);
  const { id } = await createChat(ada, { type: 'SINGLE', memberIds: [alan.userId] });
  await createChat(alan, { type: 'SINGLE', memberIds: [ada.userId] });
  const event = { __typename: 'NewChat', chat: { id, type: 'SINGLE', name: null } };
  expect(await listeners.heard()).toEqual([[event], [event], []]);
});

test('all members, new ones included, receive one event with everyone who was added together', async () => {
  const chat = await createGroup(ada, [grace], 'engines');
  await using listeners = await listen(ada, grace, linus, alan);
  await addMembers(server, chat, [linus]);
  const added = { __typename: 'AddToChat', chat: { id: chat, name: 'engines' }, addedCount: 1 };
  const first = { ...added, members: [{ user: { username: 'linus' } }] };
  expect(await listeners.heard()).toEqual([[first], [first], [first], []]);

  const crowd = await Promise.all(['barbara', 'hedy'].map((name) => signUp(server, name)));
  await addMembers(server, chat, [alan, ...crowd]);
  const [[second] = [], ...others] = await listeners.heard();
  expect(second).toMatchObject({ ...added, addedCount: 3 });
  expect(new Set(namesOf(second.members))).toEqual(new Set(['alan', 'barbara', 'hedy']));
  expect(others).toEqual([[second], [second], [second]]);
});

test('an added member receives messages from then on', async () => {
  const chat = await createGroup(ada, [grace]);
  await using listeners = await listen(linus);
  await say(ada, chat, 'before');
  await addMembers(server, chat, [linus]);
  await say(ada, chat, 'after');
  const [heard] = await listeners.heard();
  expect(heard).toMatchObject([{ __typename: 'AddToChat' }, { message: { content: 'after' } }]);
});

test('a removed member receives the removal and then nothing else from the chat, while the others continue', async () => {
  const chat = await createGroup(ada, [grace, linus]);
  await using listeners = await listen(ada, grace, linus, alan);
  await say(ada, chat, 'with linus');
  await removeMember(server, chat, linus);
  await say(ada, chat, 'without linus');
  const removal = { __typename: 'RemoveFromChat', chatId: chat, userId: linus.userId, user: { username: 'linus' } };
  const before = { __typename: 'NewMessage', message: { content: 'with linus' } };
  const all = [before, removal, { __typename: 'NewMessage', message: { content: 'without linus' } }];
  expect(await listeners.heard()).toMatchObject([all, all, [before, removal], []]);
});

test('a user who left and came back receives events from then on', async () => {
  const chat = await createGroup(ada, [grace, linus]);
  await using listeners = await listen(linus);
  await removeMember(server, chat, linus);
  await say(ada, chat, 'without linus');
  await addMembers(server, chat, [linus]);
  await say(ada, chat, 'with linus');
  const [heard] = await listeners.heard();
  expect(heard).toMatchObject([
    { __typename: 'RemoveFromChat' },
    { __typename: 'AddToChat' },
    { __typename: 'NewMessage', message: { content: 'with linus' } },
  ]);
});

test('members receive an event when their chat changes, and none when nothing changes', async () => {
  const chat = await createGroup(ada, [grace], 'before');
  await using listeners = await listen(ada, grace, linus);
  const change = (set: string) => server.sql.query(`update chats set ${set} where id = $1`, [keyOf(chat)]);
  await change(`name = 'after', description = 'renamed'`);
  await change(`name = 'after'`);
  const event = {
    __typename: 'ChatUpdated',
    chat: { id: chat, type: 'GROUP', name: 'after', description: 'renamed' },
  };
  expect(await listeners.heard()).toEqual([[event], [event], []]);
});

test('members receive a message, its sender included, and no one else does', async () => {
  const chat = await createGroup(ada, [grace]);
  await using listeners = await listen(ada, grace, linus);
  const id = await say(ada, chat, 'hello');
  const event = {
    __typename: 'NewMessage',
    message: { id, seq: 1, content: 'hello', sender: { username: 'ada' }, chat: { id: chat } },
  };
  expect(await listeners.heard()).toEqual([[event], [event], []]);
});

test('members receive edits and deletions of a message, without its former content', async () => {
  const chat = await createGroup(ada, [grace]);
  const id = await say(ada, chat, 'hello');
  await using listeners = await listen(ada, grace, linus);
  await server.sql.query(`update messages set content = 'goodbye', edited_at = now() where id = $1`, [keyOf(id)]);
  const edited = { __typename: 'MessageEdited', message: { id, content: 'goodbye', editedAt: expect.any(String) } };
  expect(await listeners.heard()).toMatchObject([[edited], [edited], []]);
  await server.sql.query('delete from messages where id = $1', [keyOf(id)]);
  const deleted = {
    __typename: 'MessageDeleted',
    message: { id, seq: 1, content: null, deletedAt: expect.any(String) },
  };
  expect(await listeners.heard()).toEqual([[deleted], [deleted], []]);
});

test('members receive the deletion of their chat, once, and no one else does', async () => {
  const chat = await createGroup(ada, [grace]);
  await say(ada, chat, 'the last words');
  await using listeners = await listen(ada, grace, linus);
  await server.sql.query('delete from chats where id = $1', [keyOf(chat)]);
  const event = { __typename: 'ChatDeleted', chatId: chat };
  expect(await listeners.heard()).toEqual([[event], [event], []]);
});

test('the events of one transaction arrive in its order, and those that were rolled back never arrive', async () => {
  const chat = await createGroup(ada, [grace], 'before');
  await using listeners = await listen(grace);
  const client = await server.sql.connect();
  const message = 'insert into messages (chat_id, sender_id, content) values ($1, $2, $3)';
  await client.query('begin');
  await client.query(message, [keyOf(chat), keyOf(ada.userId), 'never said']);
  await client.query('rollback');
  await client.query('begin');
  await client.query(message, [keyOf(chat), keyOf(ada.userId), 'first']);
  await client.query(`update chats set name = 'second' where id = $1`, [keyOf(chat)]);
  await client.query(message, [keyOf(chat), keyOf(ada.userId), 'third']);
  await client.query('commit');
  client.release();
  const [heard] = await listeners.heard();
  expect(heard).toMatchObject([
    { __typename: 'NewMessage', message: { content: 'first', seq: 1 } },
    { __typename: 'ChatUpdated' },
    { __typename: 'NewMessage', message: { content: 'third', seq: 2 } },
  ]);
});

test('everyone receives every event once and in the same order, from many writers on two nodes', async () => {
  const chat = await createGroup(ada, [grace]);
  await using here = await followEvents(server, ada);
  await using there = await followEvents(otherNode, grace);
  const onOtherNode = {
    ...grace,
    ask: (document: string, variables?: object) => otherNode.ask(document, { ...variables }, grace.token),
  };
  const writes = Array.from({ length: 120 }, (_, index) => {
    if (index % 3 === 0) return insertMessage(server, chat, ada, `insert ${index}`);
    return say(index % 3 === 1 ? ada : onOtherNode, chat, `send ${index}`);
  });
  await Promise.all(writes);
  const last = (frame: Frame) => eventOf(frame)?.message?.seq === 120;
  const [heard, elsewhere] = await Promise.all([here.until(last), there.until(last)]);
  const seqs = heard.map((frame) => eventOf(frame).message.seq);
  expect(seqs).toEqual(Array.from({ length: 120 }, (_, index) => index + 1));
  for (const frame of heard) expect(frame).toMatchObject({ event: 'next', id: envelopeOf(frame).cursor });
  expect(new Set(heard.map(({ id }) => id)).size).toBe(120);
  expect(elsewhere).toEqual(heard);
});

test('an envelope says when its event happened', async () => {
  const chat = await createGroup(ada, [grace]);
  await using stream = await followEvents(server, grace);
  const before = Date.now();
  await say(ada, chat, 'now');
  const { at } = envelopeOf(await stream.next('NewMessage'));
  expect(at).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  expect(Date.parse(at)).toBeGreaterThanOrEqual(before - 5);
  expect(Date.parse(at)).toBeLessThanOrEqual(Date.now() + 5);
});

test('a user can follow just one chat', async () => {
  const [chat, another] = await Promise.all([createGroup(ada, [grace]), createGroup(ada, [grace])]);
  await using stream = await followChat(server, grace, chat);
  await say(ada, another, 'elsewhere');
  await addMembers(server, another, [linus]);
  await say(ada, chat, 'here');
  await addMembers(server, chat, [linus]);
  await server.sql.query(`update chats set name = 'the end' where id = $1`, [keyOf(chat)]);
  const frames = await stream.until('ChatUpdated');
  expect(frames.map(eventOf)).toMatchObject([
    { __typename: 'NewMessage', message: { content: 'here' } },
    { __typename: 'AddToChat', chat: { id: chat } },
    { __typename: 'ChatUpdated', chat: { id: chat } },
  ]);
});

test('a reader of a public channel can follow it, and receives none of it in their own events', async () => {
  const channel = await createPublicChannel(ada);
  await using reader = await followChat(server, linus, channel);
  await using listeners = await listen(ada, linus);
  await say(ada, channel, 'to all');
  await addMembers(server, channel, [grace]);
  expect((await reader.until('AddToChat')).map(eventOf)).toMatchObject([
    { __typename: 'NewMessage', message: { content: 'to all' } },
    { __typename: 'AddToChat', members: [{ user: { username: 'grace' } }] },
  ]);
  expect(await listeners.heard()).toMatchObject([[{ __typename: 'NewMessage' }, { __typename: 'AddToChat' }], []]);
});

test('readers who are not members lose a public channel that becomes private', async () => {
  const channel = await createPublicChannel(ada);
  await addMembers(server, channel, [grace]);
  await using reader = await followChat(server, linus, channel);
  await using member = await followChat(server, grace, channel);
  await server.sql.query(`update chats set type = 'PRIVATE_CHANNEL' where id = $1`, [keyOf(channel)]);
  await say(ada, channel, 'among us');
  const ending = await reader.ended();
  expect(ending.map(({ event, data }) => [event, data?.errors?.[0]?.extensions?.code ?? null])).toEqual([
    ['next', null],
    ['next', 'NOT_FOUND'],
    ['complete', null],
  ]);
  expect(eventOf(ending[0] as never)).toMatchObject({ __typename: 'ChatUpdated', chat: { type: 'PRIVATE_CHANNEL' } });
  expect(eventOf(await member.next('NewMessage'))).toMatchObject({ message: { content: 'among us' } });
});

test('when a user who follows a chat loses it, that is the last event, and the server tells the client not to reconnect', async () => {
  const chat = await createGroup(ada, [grace, linus]);
  await using removed = await followChat(server, linus, chat);
  await removeMember(server, chat, linus);
  await say(ada, chat, 'without linus');
  const [removal, error, complete, ...others] = await removed.ended();
  expect(eventOf(removal as never)).toMatchObject({ __typename: 'RemoveFromChat', userId: linus.userId });
  expect(error).toMatchObject({ event: 'next', data: { errors: [{ extensions: { code: 'NOT_FOUND' } }] } });
  expect([complete, others]).toEqual([{ id: null, event: 'complete', data: null }, []]);

  await using bereft = await followChat(server, grace, chat);
  await server.sql.query('delete from chats where id = $1', [keyOf(chat)]);
  expect((await bereft.ended()).map(({ data }) => data)).toMatchObject([
    { data: { chatEvents: { event: { __typename: 'ChatDeleted', chatId: chat } } } },
    { errors: [{ extensions: { code: 'NOT_FOUND' } }] },
    null,
  ]);
});
