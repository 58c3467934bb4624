import { beforeAll, expect, test } from 'vitest';
import { createChat, heardBy, keyOf } from '../support/chat.ts';
import { type Person, signUpAll } from '../support/client.ts';
import {
  addPeople,
  deleteChat,
  joinChat,
  leaveChat,
  removePerson,
  rolesIn,
  setMemberRole,
  updateChat,
} from '../support/membership.ts';
import { onNode } from '../support/message.ts';
import { rounds } from '../support/rounds.ts';
import type { TestServer } from '../support/server.ts';
import { sharedNode, sharedServer } from '../support/shared-server.ts';
import { eventOf, followChat, followEvents } from '../support/stream.ts';

let server: TestServer;
let otherNode: TestServer;
let ada: Person;
let grace: Person;
let linus: Person;
let hedy: Person;
beforeAll(async () => {
  server = await sharedServer();
  otherNode = await sharedNode(server);
  [ada, grace, linus, hedy] = await signUpAll(server, 'ada', 'grace', 'linus', 'hedy');
});

const types = ['GROUP', 'PRIVATE_CHANNEL', 'PUBLIC_CHANNEL'];

/** Creates a chat that Ada owns. Grace is an admin, Linus is a member, and Hedy isn't in it. */
async function create(type: string): Promise<string> {
  const chat = await createChat(ada, { type, name: 'a hierarchy', memberIds: [grace.userId, linus.userId] });
  await setMemberRole(ada, chat.id, grace.userId, 'ADMIN');
  return chat.id;
}

/** In a GROUP or a PRIVATE_CHANNEL, a user who is not a member can't tell that the chat exists. */
const strangerGets = (type: string) => (type === 'PUBLIC_CHANNEL' ? 'Forbidden' : 'NotFound');

// Who may do what -----------------------------------------------------------------------------------------------------

test.each(types)('owners and admins can add members to a %s, and in a group every member can', async (type) => {
  const chat = await create(type);
  const addedBy = async (by: Person) => {
    const { __typename } = await addPeople(by, chat, [hedy.userId]);
    if (__typename === 'Chat') await removePerson(ada, chat, hedy.userId);
    return __typename;
  };
  expect(await addedBy(ada)).toBe('Chat');
  expect(await addedBy(grace)).toBe('Chat');
  expect(await addedBy(linus)).toBe(type === 'GROUP' ? 'Chat' : 'Forbidden');
  expect(await addedBy(hedy)).toBe(strangerGets(type));
  expect(await rolesIn(chat, ada)).toEqual({ ada: 'OWNER', grace: 'ADMIN', linus: 'MEMBER' });
});

test.each(types)('an owner of a %s can remove anyone, an admin only plain members', async (type) => {
  const chat = await create(type);
  await addPeople(ada, chat, [hedy.userId]);
  expect(await removePerson(grace, chat, linus.userId)).toMatchObject({ __typename: 'Chat' });
  for (const { userId } of [ada, grace, hedy]) {
    expect(await removePerson(linus, chat, userId)).toMatchObject({ __typename: strangerGets(type) });
  }
  await addPeople(ada, chat, [linus.userId]);
  for (const { userId } of [ada, grace, hedy, linus]) {
    expect(await removePerson(linus, chat, userId)).toMatchObject({ __typename: 'Forbidden', code: 'FORBIDDEN' });
  }
  await setMemberRole(ada, chat, linus.userId, 'ADMIN');
  for (const { userId } of [ada, linus, grace]) {
    expect(await removePerson(grace, chat, userId)).toMatchObject({ __typename: 'Forbidden' });
  }
  await setMemberRole(ada, chat, linus.userId, 'OWNER');
  for (const { userId } of [linus, grace, hedy]) {
    expect(await removePerson(ada, chat, userId)).toMatchObject({ __typename: 'Chat' });
  }
  expect(await rolesIn(chat, ada)).toEqual({ ada: 'OWNER' });
});

test.each(types)('only owners can set roles in a %s', async (type) => {
  const chat = await create(type);
  for (const role of ['ADMIN', 'OWNER', 'MEMBER']) {
    expect(await setMemberRole(ada, chat, linus.userId, role)).toMatchObject({
      __typename: 'Member',
      role,
      user: { username: 'linus' },
    });
    expect(await rolesIn(chat, ada)).toEqual({ ada: 'OWNER', grace: 'ADMIN', linus: role });
  }
  for (const by of [grace, linus]) {
    for (const { userId } of [ada, grace, linus, hedy]) {
      for (const role of ['OWNER', 'ADMIN', 'MEMBER']) {
        expect(await setMemberRole(by, chat, userId, role)).toMatchObject({ __typename: 'Forbidden' });
      }
    }
  }
  expect(await setMemberRole(hedy, chat, hedy.userId, 'OWNER')).toMatchObject({ __typename: strangerGets(type) });
  expect(await rolesIn(chat, ada)).toEqual({ ada: 'OWNER', grace: 'ADMIN', linus: 'MEMBER' });
});

test.each(types)('owners and admins can edit a %s, and only owners can delete it', async (type) => {
  const chat = await create(type);
  expect(await updateChat(ada, chat, { name: 'by ada' })).toMatchObject({ __typename: 'Chat', name: 'by ada' });
  expect(await updateChat(grace, chat, { name: 'by grace' })).toMatchObject({ __typename: 'Chat', name: 'by grace' });
  expect(await updateChat(linus, chat, { name: 'by linus' })).toMatchObject({ __typename: 'Forbidden' });
  expect(await updateChat(hedy, chat, { name: 'by hedy' })).toMatchObject({ __typename: strangerGets(type) });
  expect(await updateChat(ada, chat, {})).toMatchObject({ name: 'by grace' });
  for (const by of [grace, linus]) expect(await deleteChat(by, chat)).toMatchObject({ __typename: 'Forbidden' });
  expect(await deleteChat(hedy, chat)).toMatchObject({ __typename: strangerGets(type) });
  expect(await rolesIn(chat, linus)).toEqual({ ada: 'OWNER', grace: 'ADMIN', linus: 'MEMBER' });
  await setMemberRole(ada, chat, linus.userId, 'OWNER');
  expect(await deleteChat(linus, chat)).toEqual({ __typename: 'ChatGone', chatId: chat });
});

test('a user who comes back starts as a member', async () => {
  const channel = await create('PUBLIC_CHANNEL');
  await leaveChat(grace, channel);
  await joinChat(grace, channel);
  expect(await rolesIn(channel, ada)).toEqual({ ada: 'OWNER', grace: 'MEMBER', linus: 'MEMBER' });
});

// Who receives a change of role ---------------------------------------------------------------------------------------

test('everyone in a chat receives a change of role, and nothing when the role stays the same', async () => {
  const chat = await create('GROUP');
  await using member = await followEvents(server, linus);
  await using stranger = await followEvents(server, hedy);
  await using follower = await followChat(otherNode, linus, chat);
  await setMemberRole(ada, chat, linus.userId, 'MEMBER');
  await setMemberRole(ada, chat, linus.userId, 'ADMIN');
  await setMemberRole(ada, chat, grace.userId, 'ADMIN');
  await setMemberRole(ada, chat, grace.userId, 'MEMBER');
  await setMemberRole(ada, chat, grace.userId, 'OWNER');
  const updated = (username: string) => ({
    __typename: 'MemberUpdated',
    member: { user: { username }, chat: { id: chat } },
  });
  const heard = await heardBy(linus, member);
  expect(heard).toMatchObject([updated('linus'), updated('grace'), updated('grace')]);
  expect(heard[0].member.role).toBe('ADMIN');
  expect(heard[2].member.role).toBe('OWNER');
  expect(await heardBy(hedy, stranger)).toEqual([]);
  expect(eventOf(await follower.next())).toMatchObject(updated('linus'));
});

test('others do not receive MemberUpdated when internal fields, read markers or settings of a member change', async () => {
  const chat = await create('GROUP');
  await using stream = await followEvents(server, linus);
  await addPeople(ada, chat, [hedy.userId]);
  await server.sql.query('update members set last_read_seq = 0 where chat_id = $1', [keyOf(chat)]);
  await server.sql.query(`update members set notification_level = 'NONE' where chat_id = $1`, [keyOf(chat)]);
  const heard = (await heardBy(linus, stream)).map(({ __typename }) => __typename);
  expect(heard).toContain('AddToChat');
  expect(heard).not.toContain('MemberUpdated');
});

// The last owner ------------------------------------------------------------------------------------------------------

const lastOwner = { __typename: 'LastOwner', code: 'LAST_OWNER' };

test.each(types)('the last owner of a %s cannot leave, be removed or step down', async (type) => {
  const chat = await create(type);
  const refuseAll = async () => {
    expect(await leaveChat(ada, chat)).toMatchObject(lastOwner);
    expect(await removePerson(ada, chat, ada.userId)).toMatchObject(lastOwner);
    expect(await setMemberRole(ada, chat, ada.userId, 'ADMIN')).toMatchObject(lastOwner);
    expect(await setMemberRole(ada, chat, ada.userId, 'MEMBER')).toMatchObject(lastOwner);
  };
  await refuseAll();
  expect(await rolesIn(chat, grace)).toEqual({ ada: 'OWNER', grace: 'ADMIN', linus: 'MEMBER' });
  // Ada can step down once Grace is an owner too. After that, Grace is the last owner.
  await setMemberRole(ada, chat, grace.userId, 'OWNER');
  expect(await setMemberRole(ada, chat, ada.userId, 'MEMBER')).toMatchObject({ __typename: 'Member', role: 'MEMBER' });
  expect(await leaveChat(grace, chat)).toMatchObject(lastOwner);
  await setMemberRole(grace, chat, ada.userId, 'OWNER');
  expect(await removePerson(grace, chat, grace.userId)).toMatchObject({ __typename: 'Chat', memberCount: 2 });
  await refuseAll();
  await setMemberRole(ada, chat, linus.userId, 'OWNER');
  expect(await leaveChat(ada, chat)).toMatchObject({ __typename: 'ChatGone' });
  expect(await rolesIn(chat, linus)).toEqual({ linus: 'OWNER' });
});

test('of two owners who leave at the same moment, on two nodes, one remains', async () => {
  const away = onNode(otherNode, grace);
  const ways: ((by: Person, chat: string) => Promise<{ __typename: string }>)[] = [
    (by, chat) => leaveChat(by, chat),
    (by, chat) => setMemberRole(by, chat, by.userId, 'MEMBER'),
    (by, chat) => removePerson(by, chat, by.userId),
  ];
  const won = { ada: 0, grace: 0 };
  for (let round = 0; round < rounds(18, 36); round += 1) {
    const chat = await create('GROUP');
    await setMemberRole(ada, chat, grace.userId, 'OWNER');
    const [adasWay = leaveChat, gracesWay = leaveChat] = [ways[round % 3], ways[Math.floor(round / 3) % 3]];
    const going = [() => adasWay(ada, chat), () => gracesWay(away, chat)];
    if (round % 2 === 1) going.reverse();
    const outcomes = await Promise.all(going.map((go) => go()));
    const refused = outcomes.filter(({ __typename }) => __typename === 'LastOwner');
    expect([round, refused.length]).toEqual([round, 1]);
    const roles = await rolesIn(chat, linus);
    expect(Object.values(roles).filter((role) => role === 'OWNER')).toHaveLength(1);
    won[roles['ada'] === 'OWNER' ? 'grace' : 'ada'] += 1;
  }
  // If one of them never won, the two did not act at the same time.
  expect(Math.min(won.ada, won.grace)).toBeGreaterThan(0);
});

test('of two owners who remove each other at the same moment, one remains', async () => {
  const away = onNode(otherNode, grace);
  for (let round = 0; round < rounds(6, 12); round += 1) {
    const chat = await create('PRIVATE_CHANNEL');
    await setMemberRole(ada, chat, grace.userId, 'OWNER');
    const outcomes = await Promise.all([removePerson(ada, chat, grace.userId), removePerson(away, chat, ada.userId)]);
    // By then, the removed owner no longer sees the chat.
    expect(new Set(outcomes.map(({ __typename }) => __typename))).toEqual(new Set(['Chat', 'NotFound']));
    const roles = await rolesIn(chat, linus);
    expect(new Set(Object.values(roles))).toEqual(new Set(['MEMBER', 'OWNER']));
  }
});
