import { beforeAll, expect, test } from 'vitest';
import { createChat, say } from '../support/chat.ts';
import { type Data, type Person, signUpAll } from '../support/client.ts';
import {
  addPeople,
  contentsIn,
  joinChat,
  leaveChat,
  removePerson,
  setMemberRole,
  updateChat,
} from '../support/membership.ts';
import type { TestServer } from '../support/server.ts';
import { sharedNode, sharedServer } from '../support/shared-server.ts';

// A member can never give others access to more of a chat's history than the member sees, and cannot make more of the
// history public.

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

const types = ['GROUP', 'PRIVATE_CHANNEL'];

/**
 * Creates one of Ada’s chats, which contains the message `before`. Then Linus joins, in this role and without the
 * history, and receives `since`.
 */
async function create(type: string, role = 'ADMIN'): Promise<string> {
  const { id } = await createChat(ada, { type, name: 'a past', memberIds: [grace.userId] });
  await say(ada, id, 'before');
  expect(await addPeople(ada, id, [linus.userId], 'FROM_NOW')).toMatchObject({ __typename: 'Chat' });
  if (role !== 'MEMBER') await setMemberRole(ada, id, linus.userId, role);
  await say(ada, id, 'since');
  expect(await contentsIn(id, linus)).toEqual(['since']);
  return id;
}

/** Returns the messages of the chat that Hedy sees after `by` has added her. */
async function seenWhenAdded(by: Person, chat: string, history?: string): Promise<string[]> {
  expect(await addPeople(by, chat, [hedy.userId], history)).toMatchObject({ __typename: 'Chat' });
  const seen = await contentsIn(chat, hedy);
  await removePerson(ada, chat, hedy.userId);
  return seen;
}

const toPublic = (by: Person, chat: string): Promise<Data> => updateChat(by, chat, { type: 'PUBLIC_CHANNEL' });
const toPrivate = (by: Person, chat: string): Promise<Data> => updateChat(by, chat, { type: 'PRIVATE_CHANNEL' });

test.each(types)(
  'in a %s, a member who sees the whole history can give others all of it, and other members only what they see',
  async (type) => {
    const chat = await create(type);
    expect(await seenWhenAdded(ada, chat, 'ALL')).toEqual(['before', 'since']);
    expect(await seenWhenAdded(linus, chat, 'ALL')).toEqual(['since']);
    expect(await seenWhenAdded(linus, chat, 'FROM_NOW')).toEqual([]);
    // Without an explicit history, the default for the chat's type does not reveal more either.
    const isChannel = type === 'PRIVATE_CHANNEL';
    expect(await seenWhenAdded(ada, chat)).toEqual(isChannel ? ['before', 'since'] : []);
    expect(await seenWhenAdded(linus, chat)).toEqual(isChannel ? ['since'] : []);
  },
);

test('a member of a group cannot get earlier history through a second account that adds them again', async () => {
  const chat = await create('GROUP', 'MEMBER');
  await addPeople(linus, chat, [hedy.userId], 'ALL');
  expect(await leaveChat(linus, chat)).toMatchObject({ __typename: 'ChatGone' });
  expect(await addPeople(hedy, chat, [linus.userId], 'ALL')).toMatchObject({ __typename: 'Chat' });
  expect(await contentsIn(chat, linus)).toEqual(['since']);
});

test('an owner cannot give others the part of the history that is hidden from the owner', async () => {
  const chat = await create('GROUP', 'OWNER');
  expect(await seenWhenAdded(linus, chat, 'ALL')).toEqual(['since']);
});

test.each(types)('an admin who does not see all of a %s cannot make it a public channel', async (type) => {
  const chat = await create(type);
  expect(await toPublic(linus, chat)).toMatchObject({ __typename: 'Forbidden', message: /hidden from you/ });
  expect(await updateChat(linus, chat, { name: 'a name' })).toMatchObject({ __typename: 'Chat', type });
  expect(await joinChat(hedy, chat)).toMatchObject({ __typename: 'NotFound' });

  await setMemberRole(ada, chat, grace.userId, 'ADMIN');
  expect(await toPublic(grace, chat)).toMatchObject({ __typename: 'Chat', type: 'PUBLIC_CHANNEL' });
  expect(await contentsIn(chat, hedy)).toEqual(['before', 'since']);
  // Any admin may make the chat private, because that reveals nothing. But this admin may not make it public again.
  expect(await toPrivate(linus, chat)).toMatchObject({ __typename: 'Chat' });
  expect(await toPublic(linus, chat)).toMatchObject({ __typename: 'Forbidden' });

  await setMemberRole(ada, chat, linus.userId, 'OWNER');
  expect(await toPublic(linus, chat)).toMatchObject({ __typename: 'Chat' });
});

test('a change of type between a group and a private channel gives no one more of the history', async () => {
  const chat = await create('GROUP');
  expect(await toPrivate(linus, chat)).toMatchObject({ __typename: 'Chat', type: 'PRIVATE_CHANNEL' });
  expect(await contentsIn(chat, linus)).toEqual(['since']);
  expect(await seenWhenAdded(linus, chat)).toEqual(['since']);
});

test('a channel that is private again shows each member what it showed before, and they cannot give others the rest', async () => {
  const chat = await create('PRIVATE_CHANNEL');
  const hidden = await contentsIn(chat, ada);
  expect(await toPublic(ada, chat)).toMatchObject({ __typename: 'Chat' });
  expect(await contentsIn(chat, linus)).toEqual(['before', 'since']);
  await say(ada, chat, 'in public');
  expect(await joinChat(hedy, chat)).toMatchObject({ __typename: 'Chat' });

  expect(await toPrivate(ada, chat)).toMatchObject({ __typename: 'Chat' });
  expect(await contentsIn(chat, linus)).toEqual(['since', 'in public']);
  expect(await contentsIn(chat, grace)).toEqual([...hidden, 'in public']);
  // Hedy joined when everyone could see the whole history.
  expect(await contentsIn(chat, hedy)).toEqual([...hidden, 'in public']);
  await removePerson(ada, chat, hedy.userId);
  expect(await seenWhenAdded(linus, chat, 'ALL')).toEqual(['since', 'in public']);
});

test('no combination of concurrent actions, on two nodes, reveals a private history', async () => {
  for (let round = 0; round < 5; round += 1) {
    const chat = await create('PRIVATE_CHANNEL');
    const linusThere: Person = {
      ...linus,
      ask: (document, variables) => otherNode.ask(document, variables, linus.token),
    };
    await Promise.all([
      addPeople(linusThere, chat, [hedy.userId], 'ALL'),
      toPublic(linusThere, chat),
      updateChat(ada, chat, { type: 'GROUP' }),
      setMemberRole(ada, chat, linus.userId, 'MEMBER'),
      say(ada, chat, 'in the meantime'),
    ]);
    await addPeople(ada, chat, [hedy.userId], 'FROM_NOW');
    expect(await contentsIn(chat, ada)).toEqual(['before', 'since', 'in the meantime']);
    expect(await contentsIn(chat, linus)).toEqual(['since', 'in the meantime']);
    expect(await contentsIn(chat, hedy)).not.toContain('before');
    await expect(joinChat(grace, chat)).resolves.toMatchObject({ __typename: 'Forbidden' });
  }
});

test('an owner who publishes the history while being made an admin publishes all of it or nothing', async () => {
  for (let round = 0; round < 5; round += 1) {
    const chat = await create('PRIVATE_CHANNEL', 'OWNER');
    const [published, demoted] = await Promise.all([
      toPublic(linus, chat),
      setMemberRole(ada, chat, linus.userId, 'ADMIN'),
    ]);
    expect(demoted).toMatchObject({ role: 'ADMIN' });
    const isPublic = published.__typename === 'Chat';
    expect(published.__typename).toBe(isPublic ? 'Chat' : 'Forbidden');
    expect(await contentsIn(chat, linus)).toEqual(isPublic ? ['before', 'since'] : ['since']);
  }
});
