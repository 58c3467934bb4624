import { beforeAll, expect, test } from 'vitest';
import { addMembers, createChat, createGroup, createPublicChannel, keyOf, say } from '../support/chat.ts';
import { signUpAll, type Data, type Person } from '../support/client.ts';
import { deleteMessage } from '../support/message.ts';
import type { TestServer } from '../support/server.ts';
import { sharedServer } from '../support/shared-server.ts';
import { eventOf, followEvents, matching } from '../support/stream.ts';

let server: TestServer;
let ada: Person;
let grace: Person;
let linus: Person;
beforeAll(async () => {
  server = await sharedServer();
  [ada, grace, linus] = await signUpAll(server, 'ada', 'grace', 'linus');
});

const fields = 'id lastActivityAt lastMessage { content deletedAt } peer { username }';

async function chatOf(person: Person, id: string): Promise<Data> {
  return (await person.ask(`query ($id: ID!) { chat(id: $id) { ${fields} } }`, { id })).chat;
}

const document = `subscription {
  events {
    event {
      __typename
      ... on NewMessage {
        message { content chat { lastMessage { content } peer { username } } }
        edge { cursor node { content } }
      }
    }
  }
}`;

test('a chat shows its newest message, and the list of chats is sorted by its last activity', async () => {
  const chat = await createGroup(ada, [grace]);
  const empty = await chatOf(ada, chat);
  expect(empty.lastMessage).toBeNull();
  const id = await say(grace, chat, 'hello');
  const said = await chatOf(ada, chat);
  expect(said.lastMessage).toEqual({ content: 'hello', deletedAt: null });
  expect(said.lastActivityAt > empty.lastActivityAt).toBe(true);
  await deleteMessage(grace, id);
  expect((await chatOf(ada, chat)).lastMessage).toEqual({ content: null, deletedAt: expect.any(String) });
  const { viewer } = await ada.ask(`{ viewer { chats(first: 50) { edges { node { lastActivityAt } } } } }`);
  const times = viewer.chats.edges.map(({ node }: Data) => node.lastActivityAt);
  expect(times).toEqual(times.toSorted().toReversed());
});

test('a member whose history begins later does not see the newest message before it', async () => {
  const chat = await createGroup(ada, [grace]);
  await say(ada, chat, 'before his time');
  await addMembers(server, chat, [linus], 2);
  expect((await chatOf(grace, chat)).lastMessage).toMatchObject({ content: 'before his time' });
  expect((await chatOf(linus, chat)).lastMessage).toBeNull();
  await say(ada, chat, 'welcome');
  expect((await chatOf(linus, chat)).lastMessage).toMatchObject({ content: 'welcome' });
});

test('a reader of a public channel who is banned from it does not see its newest message', async () => {
  const channel = await createPublicChannel(ada);
  await say(ada, channel, 'to all');
  expect((await chatOf(linus, channel)).lastMessage).toMatchObject({ content: 'to all' });
  const ban = 'mutation ($chatId: ID!, $userId: ID!) { banMember(chatId: $chatId, userId: $userId) { __typename } }';
  await ada.ask(ban, { chatId: channel, userId: linus.userId });
  expect(await chatOf(linus, channel)).toBeNull();
});

test('a member who is removed before the next message does not see it in an event from before their removal', async () => {
  const chat = await createGroup(ada, [grace, linus]);
  await using removed = await followEvents(server, linus, { document });
  await using remaining = await followEvents(server, grace, { document });
  await server.sql.query('begin');
  const write = (content: string) =>
    server.sql.query('insert into messages (chat_id, sender_id, content) values ($1, $2, $3)', [
      ...[keyOf(chat), keyOf(ada.userId), content],
    ]);
  await write('for all three');
  await server.sql.query('delete from members where chat_id = $1 and user_id = $2', [keyOf(chat), keyOf(linus.userId)]);
  await write('for two');
  await server.sql.query('commit');
  const first = matching({ message: { content: 'for all three' } });
  expect(eventOf(await remaining.next(first)).message.chat.lastMessage).toEqual({ content: 'for two' });
  expect(eventOf(await removed.next(first)).message.chat.lastMessage).toBeNull();
  await removed.next('RemoveFromChat');
});

test('a new message comes with the cursor of its place in the list', async () => {
  const { id: chat } = await createChat(ada, { type: 'SINGLE', memberIds: [grace.userId] });
  await using stream = await followEvents(server, grace, { document });
  await say(ada, chat, 'first');
  const { edge, message } = eventOf(await stream.next('NewMessage'));
  expect(message.chat).toEqual({ lastMessage: { content: 'first' }, peer: { username: 'ada' } });
  expect(edge.node).toEqual({ content: 'first' });
  await say(ada, chat, 'second');
  const page = `query ($id: ID!, $after: String) {
    chat(id: $id) { messages(first: 9, after: $after) { edges { cursor node { content } } } }
  }`;
  const { edges } = (await grace.ask(page, { id: chat, after: edge.cursor })).chat.messages;
  expect(edges).toEqual([eventOf(await stream.next('NewMessage')).edge]);
});

test('each of two users in a single chat sees the other; no one has a peer in other chats, or after an erasure', async () => {
  const [lovelace, hopper] = await signUpAll(server, 'lovelace', 'hopper');
  const { id: chat } = await createChat(lovelace, { type: 'SINGLE', memberIds: [hopper.userId] });
  expect((await chatOf(lovelace, chat)).peer).toEqual({ username: 'hopper' });
  expect((await chatOf(hopper, chat)).peer).toEqual({ username: 'lovelace' });
  expect((await chatOf(lovelace, await createGroup(lovelace, [hopper]))).peer).toBeNull();
  const erase = `mutation ($password: String!) { deleteAccount(password: $password) { __typename } }`;
  expect((await hopper.ask(erase, { password: hopper.password })).deleteAccount.__typename).toBe('AccountGone');
  expect((await chatOf(lovelace, chat)).peer).toBeNull();
});
