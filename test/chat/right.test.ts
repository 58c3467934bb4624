import { beforeAll, expect, test } from 'vitest';
import { createChat, keyOf, say, sendMessage } from '../support/chat.ts';
import { signUpAll, type Data, type Person } from '../support/client.ts';
import {
  addPeople,
  deleteChat,
  joinChat,
  leaveChat,
  removePerson,
  setMemberRole,
  updateChat,
} from '../support/membership.ts';
import { addReaction, deleteMessage, editMessage, pinMessage } from '../support/message.ts';
import { createInvite } from '../support/invite.ts';
import { ban, inMinutes, mute } from '../support/moderation.ts';
import type { TestServer } from '../support/server.ts';
import { sharedServer } from '../support/shared-server.ts';
import { reportMessage } from '../support/staff.ts';

// `viewerCan` tells clients what the viewer may do. These tests try every mutation, and compare the outcome with
// `viewerCan`.

let server: TestServer;
let ada: Person;
let grace: Person;
let linus: Person;
let hedy: Person;
beforeAll(async () => {
  server = await sharedServer();
  [ada, grace, linus, hedy] = await signUpAll(server, 'ada', 'grace', 'linus', 'hedy');
});

const isDone = (outcome: Data): boolean =>
  !['Forbidden', 'NotFound', 'LastOwner', 'InvalidInput'].includes(outcome.__typename);

/** Gives a user this role in a chat, or removes their membership (null), directly in the database. */
async function place(chatId: string, person: Person, role: string | null): Promise<void> {
  const key = [keyOf(chatId), keyOf(person.userId)];
  if (role === null) await server.sql.query('delete from members where chat_id = $1 and user_id = $2', key);
  else {
    await server.sql.query(
      `insert into members (chat_id, user_id, role) values ($1, $2, $3::member_role)
      on conflict (chat_id, user_id) do update set role = excluded.role`,
      [...key, role],
    );
  }
}

/** Each action, as Grace tries it in one of Ada's chats. They are ordered so that no action prevents the next one. */
const attempts: Record<string, (chat: string) => Promise<boolean>> = {
  SEND_MESSAGE: async (chat) => isDone(await sendMessage(grace, chat, 'hello')),
  PIN_MESSAGE: async (chat) => isDone(await pinMessage(grace, await say(ada, chat, 'a pin'))),
  MENTION_EVERYONE: async (chat) => {
    const { id, ...outcome } = await sendMessage(grace, chat, '@everyone');
    if (!isDone(outcome)) return false;
    const { node } = await ada.ask(
      'query ($id: ID!) { node(id: $id) { ... on Message { mentions { isEveryone } } } }',
      {
        id,
      },
    );
    return node.mentions.some(({ isEveryone }: Data) => isEveryone);
  },
  DELETE_ANY_MESSAGE: async (chat) => isDone(await deleteMessage(grace, await say(ada, chat, 'a mistake'))),
  UPDATE_CHAT: async (chat) => isDone(await updateChat(grace, chat, { name: 'another name' })),
  ADD_MEMBERS: async (chat) => isDone(await addPeople(grace, chat, [hedy.userId])),
  CREATE_INVITE: async (chat) => isDone(await createInvite(grace, { chatId: chat })),
  SET_MEMBER_ROLE: async (chat) => isDone(await setMemberRole(grace, chat, linus.userId, 'MEMBER')),
  MUTE_MEMBER: async (chat) => isDone(await mute(grace, chat, linus.userId, inMinutes(5))),
  BAN_MEMBER: async (chat) => isDone(await ban(grace, chat, hedy.userId)),
  REMOVE_MEMBER: async (chat) => isDone(await removePerson(grace, chat, linus.userId)),
  // A member who joins again gets no error, but a client has no reason to offer that.
  JOIN_CHAT: async (chat) => {
    const wasMember = (await readChat(chat)).viewerMembership !== null;
    return isDone(await joinChat(grace, chat)) && !wasMember;
  },
  LEAVE_CHAT: async (chat) => isDone(await leaveChat(grace, chat)),
  DELETE_CHAT: async (chat) => isDone(await deleteChat(grace, chat)),
};

async function readChat(id: string): Promise<Data> {
  return (await grace.ask('query ($id: ID!) { chat(id: $id) { viewerCan viewerMembership { role } } }', { id })).chat;
}

/** Returns which actions Grace, with this role, is offered in one of Ada's chats, and which of them succeed. */
async function compare(type: string, role: string | null, { isMuted = false } = {}) {
  const input =
    type === 'SINGLE' ? { type, memberIds: [grace.userId] } : { type, name: 'a name', memberIds: [linus.userId] };
  const { id: chat } = await createChat(ada, input);
  const setUp = async () => {
    if (type === 'SINGLE') return;
    await place(chat, linus, 'MEMBER');
    await place(chat, grace, role);
  };
  await setUp();
  if (isMuted) await mute(ada, chat, grace.userId, inMinutes(5));
  const offered: string[] = (await readChat(chat)).viewerCan;
  const done: string[] = [];
  for (const [action, attempt] of Object.entries(attempts)) {
    if (await attempt(chat)) done.push(action);
    if (action !== 'DELETE_CHAT') await setUp();
  }
  return { offered: offered.toSorted(), done: done.toSorted() };
}

test.each([
  ['SINGLE', 'MEMBER'],
  ['GROUP', 'OWNER'],
  ['GROUP', 'ADMIN'],
  ['GROUP', 'MEMBER'],
  ['PRIVATE_CHANNEL', 'OWNER'],
  ['PRIVATE_CHANNEL', 'ADMIN'],
  ['PRIVATE_CHANNEL', 'MEMBER'],
  ['PUBLIC_CHANNEL', 'OWNER'],
  ['PUBLIC_CHANNEL', 'ADMIN'],
  ['PUBLIC_CHANNEL', 'MEMBER'],
  ['PUBLIC_CHANNEL', null],
])('in a %s, viewerCan offers a user with the role %s what the mutations allow', async (type, role) => {
  const { offered, done } = await compare(type, role);
  expect(offered).toEqual(done);
  expect(offered.length).toBeGreaterThan(0);
});

test('viewerCan offers a muted admin what the mutations allow', async () => {
  const { offered, done } = await compare('GROUP', 'ADMIN', { isMuted: true });
  expect(offered).toEqual(done);
  expect(offered).toEqual(['LEAVE_CHAT']);
});

test('viewerCan offers only to report messages in a single chat with someone who has blocked the viewer', async () => {
  const { id: chat } = await createChat(ada, { type: 'SINGLE', memberIds: [hedy.userId] });
  const message = await say(ada, chat, 'hello');
  const document = `query ($chat: ID!, $message: ID!) {
    chat(id: $chat) { viewerCan }
    node(id: $message) { ... on Message { viewerCan } }
  }`;
  const read = async () => {
    const { chat: seen, node } = await hedy.ask(document, { chat, message });
    return [seen.viewerCan, node.viewerCan];
  };
  expect(await read()).toEqual([
    ['SEND_MESSAGE', 'PIN_MESSAGE'],
    ['PIN', 'REACT', 'REPORT'],
  ]);
  await ada.ask('mutation ($id: ID!) { blockUser(userId: $id) { __typename } }', { id: hedy.userId });
  expect(await read()).toEqual([[], ['REPORT']]);
});

test.each([
  ['SINGLE', 'MEMBER'],
  ['GROUP', 'OWNER'],
  ['GROUP', 'ADMIN'],
  ['GROUP', 'MEMBER'],
  ['PRIVATE_CHANNEL', 'MEMBER'],
  ['PUBLIC_CHANNEL', 'ADMIN'],
  ['PUBLIC_CHANNEL', 'MEMBER'],
  ['PUBLIC_CHANNEL', null],
])('in a %s, viewerCan of a message offers a user with the role %s what the mutations allow', async (type, role) => {
  const input =
    type === 'SINGLE' ? { type, memberIds: [grace.userId] } : { type, name: 'a name', memberIds: [linus.userId] };
  const { id: chat } = await createChat(ada, input);
  const tries: Record<string, (id: string) => Promise<Data>> = {
    EDIT: (id) => editMessage(grace, id, 'changed'),
    REACT: (id) => addReaction(grace, id, '👍'),
    PIN: (id) => pinMessage(grace, id),
    REPORT: (id) => reportMessage(grace, id),
    DELETE: (id) => deleteMessage(grace, id),
  };
  const check = async (message: string) => {
    const { node } = await grace.ask('query ($id: ID!) { node(id: $id) { ... on Message { viewerCan } } }', {
      id: message,
    });
    const done: string[] = [];
    for (const [action, attempt] of Object.entries(tries)) if (isDone(await attempt(message))) done.push(action);
    expect(node.viewerCan.toSorted()).toEqual(done.toSorted());
    return node.viewerCan;
  };
  if (type !== 'SINGLE') await place(chat, grace, 'MEMBER');
  const own = await say(grace, chat, 'mine');
  const theirs = await say(ada, chat, 'hers');
  const gone = await say(ada, chat, 'gone');
  await deleteMessage(ada, gone);
  if (type !== 'SINGLE') await place(chat, grace, role);
  expect(await check(own)).toContain('DELETE');
  expect(await check(theirs)).not.toContain('EDIT');
  // A deleted message offers no actions, because deleting it again has no effect.
  expect(
    (await grace.ask('query ($id: ID!) { node(id: $id) { ... on Message { viewerCan } } }', { id: gone })).node,
  ).toEqual({
    viewerCan: [],
  });
});
