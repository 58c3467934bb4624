import { beforeAll, expect, test } from 'vitest';
import { encodeId } from '../../src/core/id.ts';
import { createChat, createGroup, createPublicChannel, heardBy, keyOf, say, sendMessage } from '../support/chat.ts';
import { signUp, type Data, type Person } from '../support/client.ts';
import type { TestServer } from '../support/server.ts';
import { sharedServer } from '../support/shared-server.ts';
import { addReaction, editMessage, pinMessage, unpinMessage } from '../support/message.ts';
import { eventOf, followEvents, matching, openStream, type Frame } from '../support/stream.ts';

let server: TestServer;
let ada: Person;
let grace: Person;
let linus: Person;
beforeAll(async () => {
  server = await sharedServer();
  ada = await signUp(server, 'ada');
});

/** Signs up a new Grace and a new Linus, who have not blocked each other. */
async function meet(): Promise<void> {
  const suffix = Math.random().toString(36).slice(2);
  [grace, linus] = await Promise.all([signUp(server, `grace-${suffix}`), signUp(server, `linus-${suffix}`)]);
}

const outcome = `__typename ... on Error { code } ... on InvalidInput { fields { path } } ... on User { username }`;

async function block(by: Person, userId: string): Promise<Data> {
  return (await by.ask(`mutation ($id: ID!) { blockUser(userId: $id) { ${outcome} } }`, { id: userId })).blockUser;
}

async function unblock(by: Person, userId: string): Promise<Data> {
  return (await by.ask(`mutation ($id: ID!) { unblockUser(userId: $id) { ${outcome} } }`, { id: userId })).unblockUser;
}

async function blockedBy(person: Person): Promise<string[]> {
  const { viewer } = await person.ask('{ viewer { blockedUsers { edges { node { username } } } } }');
  return viewer.blockedUsers.edges.map(({ node }: Data) => node.username);
}

const openSingle = (by: Person, other: Person) => createChat(by, { type: 'SINGLE', memberIds: [other.userId] });

async function addMembers(by: Person, chatId: string, people: Person[]): Promise<Data> {
  const document = `mutation ($chatId: ID!, $userIds: [ID!]!) {
    addMembers(chatId: $chatId, userIds: $userIds) { __typename ... on Error { code } ... on Chat { memberCount } }
  }`;
  return (await by.ask(document, { chatId, userIds: people.map(({ userId }) => userId) })).addMembers;
}

const forbidden = { __typename: 'Forbidden', code: 'FORBIDDEN' };

test('a user’s list shows the users they blocked, the newest first, until unblocked', async () => {
  await meet();
  expect(await block(grace, linus.userId)).toEqual({ __typename: 'User', username: linus.name });
  expect(await block(grace, ada.userId)).toMatchObject({ __typename: 'User' });
  expect(await block(grace, linus.userId)).toMatchObject({ __typename: 'User' });
  expect(await blockedBy(grace)).toEqual(['ada', linus.name]);
  expect(await blockedBy(linus)).toEqual([]);
  expect(await unblock(grace, ada.userId)).toEqual({ __typename: 'User', username: 'ada' });
  expect(await unblock(grace, ada.userId)).toMatchObject({ __typename: 'User' });
  expect(await blockedBy(grace)).toEqual([linus.name]);
});

test('the list is paged in both directions', async () => {
  await meet();
  const people: string[] = [];
  for (let count = 0; count < 5; count += 1) {
    const person = await signUp(server, `blocked-${count}`);
    people.unshift(person.name);
    await block(grace, person.userId);
  }
  const read = async (page: string) => {
    const { viewer } = await grace.ask(
      `{ viewer { blockedUsers(${page}) { edges { node { username } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } } }`,
    );
    const { edges, pageInfo } = viewer.blockedUsers;
    return { names: edges.map(({ node }: Data) => node.username), ...pageInfo };
  };
  const first = await read('first: 2');
  expect(first).toMatchObject({ names: people.slice(0, 2), hasNextPage: true, hasPreviousPage: false });
  const next = await read(`first: 3, after: "${first.endCursor}"`);
  expect(next).toMatchObject({ names: people.slice(2), hasNextPage: false, hasPreviousPage: true });
  expect(await read(`last: 2, before: "${next.startCursor}"`)).toMatchObject({ names: people.slice(0, 2) });
  expect(await read('last: 2')).toMatchObject({ names: people.slice(3), hasPreviousPage: true });
});

test('no one can block themselves, or a user who does not exist', async () => {
  await meet();
  expect(await block(grace, grace.userId)).toEqual({
    __typename: 'InvalidInput',
    code: 'INVALID_INPUT',
    fields: [{ path: ['userId'] }],
  });
  expect(await block(grace, 'nonsense')).toMatchObject({ __typename: 'InvalidInput' });
  const nobody = encodeId('User', 2n ** 62n);
  expect(await block(grace, nobody)).toEqual({ __typename: 'NotFound', code: 'NOT_FOUND' });
  expect(await unblock(grace, nobody)).toEqual({ __typename: 'NotFound', code: 'NOT_FOUND' });
  expect(await blockedBy(grace)).toEqual([]);
  const { errors } = await server.post('mutation ($id: ID!) { blockUser(userId: $id) { __typename } }', {
    id: grace.userId,
  });
  expect(errors).toMatchObject([{ extensions: { code: 'UNAUTHENTICATED' } }]);
});

test('a blocked user can’t open a single chat with the user who blocked them', async () => {
  await meet();
  expect(await openSingle(linus, ada)).toMatchObject({ __typename: 'Chat' });
  await block(grace, linus.userId);
  expect(await openSingle(linus, grace)).toMatchObject(forbidden);
  const { rows } = await server.sql.query('select from single_chats where $1 in (low_user_id, high_user_id)', [
    keyOf(grace.userId),
  ]);
  expect(rows).toEqual([]);
  await unblock(grace, linus.userId);
  expect(await openSingle(linus, grace)).toMatchObject({ __typename: 'Chat' });
});

test('the existing chat of the two stays, and the blocked user can send nothing in it any more', async () => {
  await meet();
  const { id: chat } = await openSingle(linus, grace);
  const old = await say(linus, chat, 'before');
  const graces = await say(grace, chat, 'enough');
  const act = async (verb: string, messageId: string) =>
    Object.values(await linus.ask(`mutation ($id: ID!) { ${verb} { __typename } }`, { id: messageId }))[0] as Data;
  const edit = 'editMessage(messageId: $id, content: "another word")';
  const react = 'addReaction(messageId: $id, emoji: "👍")';
  const pin = 'pinMessage(messageId: $id)';
  const type = async () =>
    (await linus.ask('mutation ($id: ID!) { startTyping(chatId: $id) }', { id: chat })).startTyping;
  for (const verb of [edit, react, pin]) expect(await act(verb, old)).toEqual({ __typename: 'Message' });
  expect(await type()).toBe(true);

  await block(grace, linus.userId);
  await using stream = await followEvents(server, grace);
  expect(await sendMessage(linus, chat, 'but')).toMatchObject(forbidden);
  expect(await act('editMessage(messageId: $id, content: "a bad word")', old)).toEqual({ __typename: 'Forbidden' });
  expect(await act(react, graces)).toEqual({ __typename: 'Forbidden' });
  expect(await act(pin, graces)).toEqual({ __typename: 'Forbidden' });
  expect(await type()).toBe(false);
  expect(await heardBy(grace, stream)).toEqual([]);

  // Both users still see the existing messages, and the user who blocks may still write.
  expect(await openSingle(linus, grace)).toMatchObject({ __typename: 'Chat', id: chat });
  expect(await sendMessage(grace, chat, 'that is all')).toMatchObject({ __typename: 'Message', seq: 3 });
  expect(await act('deleteMessage(messageId: $id)', old)).toEqual({ __typename: 'Message' });
  await unblock(grace, linus.userId);
  expect(await sendMessage(linus, chat, 'thank you')).toMatchObject({ __typename: 'Message', seq: 4 });
});

test('a blocked user can’t add the user who blocked them to a chat', async () => {
  await meet();
  const chats = await Promise.all([createGroup(linus, [ada]), createPublicChannel(linus)]);
  await block(grace, linus.userId);
  const group = { type: 'GROUP', memberIds: [ada.userId] };
  expect(await createChat(linus, group)).toMatchObject({ __typename: 'Chat' });
  expect(await createChat(linus, { ...group, memberIds: [ada.userId, grace.userId] })).toMatchObject(forbidden);
  const channel = { type: 'PRIVATE_CHANNEL', name: 'come in', memberIds: [grace.userId] };
  expect(await createChat(linus, channel)).toMatchObject(forbidden);
  for (const chat of chats) {
    const added = await addMembers(linus, chat, [await signUp(server, `guest-${keyOf(chat)}`)]);
    expect(added).toMatchObject({ __typename: 'Chat' });
    expect(await addMembers(linus, chat, [grace])).toEqual(forbidden);
  }
  const { viewer } = await grace.ask('{ viewer { chats { edges { cursor } } } }');
  expect(viewer.chats.edges).toEqual([]);

  // Other users may add Grace. After that, both users are in the chat, and both can write.
  const [both] = chats;
  expect(await addMembers(ada, both, [grace])).toMatchObject({ __typename: 'Chat' });
  expect(await sendMessage(linus, both, 'hello all')).toMatchObject({ __typename: 'Message' });
  // Adding a user who is already a member has no effect, so it is allowed.
  expect(await addMembers(linus, both, [grace])).toMatchObject({ __typename: 'Chat' });
});

test('a blocking user may open a chat with the user they blocked', async () => {
  await meet();
  await block(grace, linus.userId);
  const { id: chat } = await openSingle(grace, linus);
  expect(await sendMessage(grace, chat, 'a last word')).toMatchObject({ __typename: 'Message' });
  expect(await sendMessage(linus, chat, 'and mine')).toMatchObject(forbidden);
});

test('a blocked user cannot pin anything in the single chat of the two, and gets the same error as for a message', async () => {
  await meet();
  const { id: chat } = await openSingle(grace, linus);
  const message = await say(linus, chat, 'hello');
  expect(await pinMessage(linus, message)).toMatchObject({ __typename: 'Message' });
  await block(grace, linus.userId);
  const reason = 'This person does not accept messages from you.';
  const refused = { __typename: 'Forbidden', code: 'FORBIDDEN', message: reason };
  expect(await sendMessage(linus, chat, 'again')).toMatchObject(refused);
  expect(await pinMessage(linus, message)).toMatchObject(refused);
  expect(await unpinMessage(linus, message)).toMatchObject(refused);
  expect(await editMessage(linus, message, 'again')).toMatchObject(refused);
  expect(await addReaction(linus, message, '👍')).toMatchObject(refused);
  // The user who blocks can still pin and unpin.
  expect(await unpinMessage(grace, message)).toMatchObject({ __typename: 'Message' });
  await unblock(grace, linus.userId);
  expect(await pinMessage(linus, message)).toMatchObject({ __typename: 'Message' });
});

test('in any chat, a blocked user sees the user who blocked them neither among the readers nor by their read marker', async () => {
  await meet();
  const group = await createGroup(ada, [grace, linus]);
  const { id: single } = await openSingle(grace, linus);
  const readersOf = async (by: Person, id: string): Promise<[string[], Record<string, number | null>]> => {
    const { chat } = await by.ask(
      `query ($id: ID!) { chat(id: $id) {
        readBy(seq: 1) { edges { node { user { username } } } }
        members { edges { node { lastReadSeq user { username } } } }
      } }`,
      { id },
    );
    const markers = chat.members.edges.map(({ node }: Data) => [node.user.username, node.lastReadSeq]);
    return [chat.readBy.edges.map(({ node }: Data) => node.user.username), Object.fromEntries(markers)];
  };
  for (const chat of [group, single]) {
    await say(linus, chat, 'who reads this?');
    await grace.ask('mutation ($id: ID!) { markRead(chatId: $id, seq: 1) { __typename } }', { id: chat });
    const [readers, markers] = await readersOf(linus, chat);
    expect(readers).toContain(grace.name);
    expect(markers[grace.name]).toBe(1);
  }
  await block(grace, linus.userId);
  for (const chat of [group, single]) {
    const [readers, markers] = await readersOf(linus, chat);
    expect(readers).toEqual([linus.name]);
    expect(markers).toMatchObject({ [grace.name]: null, [linus.name]: 1 });
    // Grace and the other users still see Grace's marker.
    expect((await readersOf(grace, chat))[1]).toMatchObject({ [grace.name]: 1, [linus.name]: 1 });
  }
  const [readers, markers] = await readersOf(ada, group);
  expect(readers).toContain(grace.name);
  expect(markers[grace.name]).toBe(1);
});

test('an event that lists members hides only the marker of a user who blocks its receiver', async () => {
  await meet();
  const group = await createGroup(ada, [grace, linus]);
  await say(linus, group, 'hello');
  await grace.ask('mutation ($id: ID!) { markRead(chatId: $id, seq: 1) { __typename } }', { id: group });
  const document = `subscription { events { cursor event { __typename
    ... on NewMessage { message { chat { members { edges { node { lastReadSeq user { username } } } } } } } } } }`;
  const markerIn = async (person: Person): Promise<number | null> => {
    await using stream = await openStream(server, person, document);
    await stream.until(matching({ __typename: 'CaughtUp' }));
    await say(ada, group, 'and now?');
    const frames = await stream.until(matching({ __typename: 'NewMessage' }));
    const { edges } = eventOf(frames.at(-1) as Frame).message.chat.members;
    return edges.find(({ node }: Data) => node.user.username === grace.name).node.lastReadSeq;
  };
  expect(await markerIn(linus)).toBe(1);
  await block(grace, linus.userId);
  expect(await markerIn(linus)).toBe(null);
  expect(await markerIn(ada)).toBe(1);
});
