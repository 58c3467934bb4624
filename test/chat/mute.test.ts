import { beforeAll, expect, test } from 'vitest';
import { createChat, createPublicChannel, heardBy, keyOf, say, sendMessage } from '../support/chat.ts';
import { signUpAll, type Data, type Person } from '../support/client.ts';
import { addPeople, joinChat, leaveChat, setMemberRole } from '../support/membership.ts';
import {
  addReaction,
  deleteMessage,
  editMessage,
  onNode,
  pinMessage,
  removeReaction,
  unpinMessage,
} from '../support/message.ts';
import { inMinutes, mute } from '../support/moderation.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { sharedServer } from '../support/shared-server.ts';
import { followEvents } from '../support/stream.ts';

let server: TestServer;
let ada: Person;
let grace: Person;
let linus: Person;
let hedy: Person;
beforeAll(async () => {
  server = await sharedServer();
  [ada, grace, linus, hedy] = await signUpAll(server, 'ada', 'grace', 'linus', 'hedy');
});

const types = ['GROUP', 'PRIVATE_CHANNEL', 'PUBLIC_CHANNEL'];

/** Creates a chat that Ada owns. Grace is an admin, Linus is a member, and Hedy isn't in it. */
async function create(type: string): Promise<string> {
  const { id } = await createChat(ada, { type, name: 'an order', memberIds: [grace.userId, linus.userId] });
  await setMemberRole(ada, id, grace.userId, 'ADMIN');
  return id;
}

const kindOf = (outcome: Data): string => outcome.__typename;

async function mutedUntil(by: Person, chatId: string, username: string): Promise<string | null> {
  const document = `query ($id: ID!) {
    chat(id: $id) { members(first: 100) { edges { node { mutedUntil user { username } } } } }
  }`;
  const { chat } = await by.ask(document, { id: chatId });
  return chat.members.edges.find(({ node }: Data) => node.user.username === username).node.mutedUntil;
}

test.each(types)('owners can mute anyone in a %s, and admins plain members', async (type) => {
  const chat = await create(type);
  const until = inMinutes(5);
  const muted = (name: string) => ({ __typename: 'Member', mutedUntil: until.toISOString(), user: { username: name } });
  for (const { userId } of [ada, grace, hedy]) {
    expect(kindOf(await mute(linus, chat, userId, until))).toBe('Forbidden');
  }
  expect(kindOf(await mute(hedy, chat, linus.userId, until))).toBe(
    type === 'PUBLIC_CHANNEL' ? 'Forbidden' : 'NotFound',
  );
  expect(kindOf(await mute(grace, chat, ada.userId, until))).toBe('Forbidden');
  expect(await mute(grace, chat, linus.userId, until)).toEqual(muted('linus'));
  expect(await mute(ada, chat, grace.userId, until)).toEqual(muted('grace'));
  expect(await mutedUntil(linus, chat, 'grace')).toBe(until.toISOString());
  expect(kindOf(await mute(ada, chat, hedy.userId, until))).toBe('NotFound');
  expect(await mute(ada, chat, linus.userId, null)).toMatchObject({ __typename: 'Member', mutedUntil: null });
});

test('a mute needs another member and a time in the future', async () => {
  const chat = await create('GROUP');
  expect(await mute(ada, chat, ada.userId, inMinutes(5))).toMatchObject({ fields: [{ path: ['userId'] }] });
  for (const until of [inMinutes(-1), new Date(0)]) {
    expect(await mute(ada, chat, linus.userId, until)).toMatchObject({ fields: [{ path: ['until'] }] });
  }
  expect(await mutedUntil(ada, chat, 'linus')).toBeNull();
  const { id: single } = await createChat(ada, { type: 'SINGLE', memberIds: [grace.userId] });
  expect(kindOf(await mute(ada, single, grace.userId, inMinutes(5)))).toBe('Forbidden');
});

test.each(types)('a member who is muted in a %s can read but not write, and learns until when', async (type) => {
  const chat = await create(type);
  await setMemberRole(ada, chat, linus.userId, 'ADMIN');
  const own = await say(linus, chat, 'mine');
  const other = await say(ada, chat, 'hers');
  await addReaction(linus, other, '👍');
  const typing = () => linus.ask('mutation ($id: ID!) { startTyping(chatId: $id) }', { id: chat });
  expect(await typing()).toEqual({ startTyping: true });
  const until = inMinutes(5);
  await mute(ada, chat, linus.userId, until);

  const writes = {
    sendMessage: `sendMessage(input: { chatId: $chat, content: "hello" })`,
    editMessage: `editMessage(messageId: $own, content: "changed")`,
    addReaction: `addReaction(messageId: $other, emoji: "🎉")`,
    pinMessage: `pinMessage(messageId: $other)`,
    unpinMessage: `unpinMessage(messageId: $other)`,
  };
  for (const [name, call] of Object.entries(writes)) {
    const used = [...new Set(call.match(/\$\w+/g))].map((variable) => `${variable}: ID!`).join(', ');
    const { outcome } = await linus.ask(
      `mutation (${used}) { outcome: ${call} { __typename ... on Forbidden { until reason message } } }`,
      { chat, own, other },
    );
    expect([name, outcome]).toEqual([
      name,
      { __typename: 'Forbidden', until: until.toISOString(), reason: null, message: 'You are muted in this chat.' },
    ]);
  }
  expect(await typing()).toEqual({ startTyping: false });

  // A muted admin cannot change or moderate the chat either.
  const changes = {
    updateChat: `updateChat(input: { chatId: $chat, name: "mine now" })`,
    setAvatar: `setAvatar(chatId: $chat)`,
    addMembers: `addMembers(chatId: $chat, userIds: [$stranger])`,
    createInvite: `createInvite(input: { chatId: $chat })`,
    removeMember: `removeMember(chatId: $chat, userId: $stranger)`,
    banMember: `banMember(chatId: $chat, userId: $stranger)`,
    muteMember: `muteMember(chatId: $chat, userId: $stranger, until: "2100-01-01T00:00:00Z")`,
    deleteMessage: `deleteMessage(messageId: $other)`,
  };
  for (const [name, call] of Object.entries(changes)) {
    const used = [...new Set(call.match(/\$\w+/g))].map((variable) => `${variable}: ID!`).join(', ');
    const { outcome } = await linus.ask(
      `mutation (${used}) { outcome: ${call} { __typename ... on Forbidden { until message } } }`,
      { chat, other, stranger: hedy.userId },
    );
    expect([name, outcome]).toEqual([
      name,
      { __typename: 'Forbidden', until: until.toISOString(), message: 'You are muted in this chat.' },
    ]);
  }

  // A muted user can still read messages, remove a reaction and delete a message.
  const document = 'query ($id: ID!) { chat(id: $id) { messages { edges { node { content } } } } }';
  expect((await linus.ask(document, { id: chat })).chat.messages.edges).toHaveLength(2);
  expect(kindOf(await removeReaction(linus, other, '👍'))).toBe('Message');
  expect(kindOf(await deleteMessage(linus, own))).toBe('Message');

  await mute(ada, chat, linus.userId, null);
  expect(kindOf(await sendMessage(linus, chat, 'free again'))).toBe('Message');
  expect(kindOf(await pinMessage(linus, other))).toBe('Message');
  expect(kindOf(await unpinMessage(linus, other))).toBe('Message');
});

test("a mute ends by the database's clock, and lasts through leaving and coming back", async () => {
  const channel = await createPublicChannel(ada);
  await joinChat(linus, channel);
  await mute(ada, channel, linus.userId, inMinutes(5));
  await leaveChat(linus, channel);
  await joinChat(linus, channel);
  expect(kindOf(await sendMessage(linus, channel, 'hello'))).toBe('Forbidden');
  await server.sql.query(
    `update restrictions set until = clock_timestamp() - interval '1 ms' where chat_id = $1 and kind = 'MUTE'`,
    [keyOf(channel)],
  );
  expect(await mutedUntil(ada, channel, 'linus')).toBeNull();
  expect(kindOf(await sendMessage(linus, channel, 'hello'))).toBe('Message');
});

test('a mute in one chat does not count in another', async () => {
  const [one, other] = [await create('GROUP'), await create('GROUP')];
  await mute(ada, one, linus.userId, inMinutes(5));
  expect(kindOf(await sendMessage(linus, one, 'hello'))).toBe('Forbidden');
  expect(kindOf(await sendMessage(linus, other, 'hello'))).toBe('Message');
  expect(kindOf(await editMessage(linus, await say(linus, other, 'hello'), 'hello!'))).toBe('Message');
});

test('all members receive MemberUpdated when a member is muted and when the mute is lifted', async () => {
  const chat = await create('GROUP');
  const document = `subscription { events { cursor event {
    __typename
    ... on NewChat { chat { name } }
    ... on MemberUpdated { member { mutedUntil user { username } } }
  } } }`;
  await using member = await followEvents(server, linus, { document });
  await using stranger = await followEvents(server, hedy, { document });
  const [first, second] = [inMinutes(5), inMinutes(10)];
  await mute(ada, chat, linus.userId, first);
  await mute(grace, chat, linus.userId, second);
  await mute(grace, chat, linus.userId, null);
  // The second call changes nothing.
  await mute(grace, chat, linus.userId, null);
  const heard = await heardBy(linus, member);
  expect(heard.map(({ __typename, member: { user } }) => [__typename, user.username])).toEqual(
    Array.from({ length: 3 }, () => ['MemberUpdated', 'linus']),
  );
  expect(heard.at(-1).member.mutedUntil).toBeNull();
  expect(await heardBy(hedy, stranger)).toEqual([]);
});

test('a message that is sent on one node while a mute is committed on another comes before the mute', async () => {
  await using otherNode = await startServer({ database: server.database });
  for (let round = 0; round < 10; round += 1) {
    const chat = await create('GROUP');
    const [sent] = await Promise.all([
      sendMessage(onNode(otherNode, linus), chat, 'just in time?'),
      mute(ada, chat, linus.userId, inMinutes(5)),
    ]);
    const { rows } = await server.sql.query<{ kind: string }>(
      `select kind from events where chat_id = $1 and kind in ('NewMessage', 'MemberUpdated') order by id`,
      [keyOf(chat)],
    );
    const kinds = rows.map(({ kind }) => kind).slice(1);
    expect(kinds).toEqual(kindOf(sent) === 'Message' ? ['NewMessage', 'MemberUpdated'] : ['MemberUpdated']);
    expect(kindOf(await addPeople(onNode(otherNode, linus), chat, [hedy.userId]))).toBe('Forbidden');
  }
});
