import { beforeAll, expect, test } from 'vitest';
import { createGroup, createPublicChannel, heardBy, keyOf, removeMember } from '../support/chat.ts';
import { type Data, type Person, signUp, signUpAll } from '../support/client.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { sharedNode, sharedServer } from '../support/shared-server.ts';
import { eventOf, followChat, followEvents, matching, readMissed } from '../support/stream.ts';

let server: TestServer;
let otherNode: TestServer;
let ada: Person;
let grace: Person;
let linus: Person;
beforeAll(async () => {
  server = await sharedServer();
  otherNode = await sharedNode(server);
  [ada, grace, linus] = await signUpAll(server, 'ada', 'grace', 'linus');
});

/** Changes a user's profile. Returns the whole result, including errors. */
async function updateProfile(by: Person, input: { displayName?: string | null }): Promise<Data> {
  const document = `mutation ($input: UpdateProfileInput!) {
    updateProfile(input: $input) {
      __typename
      ... on InvalidInput { fields { path } }
      ... on User { username displayName }
    }
  }`;
  return (await by.ask(document, { input })).updateProfile;
}

const document = `subscription ($after: String) { events(after: $after) { cursor event {
  __typename
  ... on NewChat { chat { name } }
  ... on UserUpdated { user { username displayName } }
} } }`;
const inChat = document.replace(
  '($after: String) { events(',
  '($chatId: ID!, $after: String) { chatEvents(chatId: $chatId, ',
);
const updated = (username: string, displayName: string | null) => ({
  __typename: 'UserUpdated',
  user: { username, displayName },
});

test('a user can set their display name, and remove it', async () => {
  const shown = async () =>
    (await grace.ask('query ($id: ID!) { node(id: $id) { ... on User { displayName } } }', { id: ada.userId })).node;
  expect(await updateProfile(ada, { displayName: ' Ada King ' })).toEqual({
    __typename: 'User',
    username: 'ada',
    displayName: 'Ada King',
  });
  expect(await shown()).toEqual({ displayName: 'Ada King' });
  expect(await updateProfile(ada, {})).toMatchObject({ displayName: 'Ada King' });
  expect(await updateProfile(ada, { displayName: null })).toMatchObject({ displayName: null });
  expect(await shown()).toEqual({ displayName: null });
});

test('a display name is one line of 1 to 64 characters', async () => {
  const longest = '😀'.repeat(64);
  expect(await updateProfile(ada, { displayName: longest })).toMatchObject({ displayName: longest });
  for (const displayName of ['', '  ', 'two\nlines', `${longest}x`, 'a\u0000b']) {
    expect(await updateProfile(ada, { displayName })).toEqual({
      __typename: 'InvalidInput',
      fields: [{ path: ['displayName'] }],
    });
  }
});

test('changing a profile requires a signed-in user', async () => {
  const { errors } = await server.post('mutation { updateProfile(input: { displayName: "me" }) { __typename } }');
  expect(errors).toMatchObject([{ extensions: { code: 'UNAUTHENTICATED' } }]);
});

test('all who share a chat receive a changed profile, once, and no one else does', async () => {
  const barbara = await signUp(server, 'barbara');
  await createGroup(barbara, [grace]);
  await createGroup(grace, [barbara]);
  const third = await createGroup(barbara, [ada, grace]);
  await removeMember(server, third, ada);
  await using herPhone = await followEvents(otherNode, barbara, { document });
  await using shared = await followEvents(otherNode, grace, { document });
  await using formerly = await followEvents(server, ada, { document });
  await using stranger = await followEvents(otherNode, linus, { document });

  await updateProfile(barbara, { displayName: 'Barbara Liskov' });
  expect(eventOf(await herPhone.next())).toEqual(updated('barbara', 'Barbara Liskov'));
  expect(eventOf(await shared.next())).toEqual(updated('barbara', 'Barbara Liskov'));
  await updateProfile(barbara, { displayName: 'Barbara Liskov' });
  await server.sql.query(`update users set username = 'liskov' where id = $1`, [keyOf(barbara.userId)]);
  const [told, ...rest] = await heardBy(grace, shared);
  expect(told).toEqual(updated('liskov', 'Barbara Liskov'));
  expect(rest).toEqual([]);
  expect(await heardBy(ada, formerly)).toEqual([]);
  expect(await heardBy(linus, stranger)).toEqual([]);
});

test('a user who is in no chat receives their own profile on their other devices', async () => {
  const alone = await signUp(server, 'alone');
  await using phone = await followEvents(otherNode, alone, { document });
  await updateProfile(alone, { displayName: 'by myself' });
  expect(eventOf(await phone.next())).toEqual(updated('alone', 'by myself'));
});

test('a user who follows one chat receives the profiles of its members', async () => {
  const [hedy, alan] = await Promise.all([signUp(server, 'hedy'), signUp(server, 'alan')]);
  const channel = await createPublicChannel(hedy);
  const elsewhere = await createPublicChannel(alan);
  await using reader = await followChat(otherNode, linus, channel, { document: inChat });
  await using readerElsewhere = await followChat(otherNode, linus, elsewhere, { document: inChat });
  await updateProfile(hedy, { displayName: 'Hedy Lamarr' });
  await updateProfile(alan, { displayName: 'Alan Turing' });
  expect(eventOf(await reader.next())).toEqual(updated('hedy', 'Hedy Lamarr'));
  expect(eventOf(await readerElsewhere.next())).toEqual(updated('alan', 'Alan Turing'));
  const missed = await readMissed(server, linus, reader.frames[0]?.id ?? null, {
    document: inChat,
    variables: { chatId: channel },
  });
  expect(missed.map(eventOf)).toEqual([updated('hedy', 'Hedy Lamarr'), { __typename: 'CaughtUp' }]);
});

test('a user who was away receives the profiles of those they share a chat with now', async () => {
  const [joan, edith] = await Promise.all([signUp(server, 'joan'), signUp(server, 'edith')]);
  const chat = await createGroup(joan, [edith, linus]);
  const cursorOf = async (person: Person) => (await person.ask('{ viewer { eventCursor } }')).viewer.eventCursor;
  const from = await cursorOf(edith);
  await updateProfile(joan, { displayName: 'Joan Clarke' });
  await updateProfile(ada, { displayName: 'not known to Edith' });
  const hear = async (person: Person) =>
    (await readMissed(otherNode, person, from, { document })).map(eventOf).filter(({ user }) => user !== undefined);
  expect(await hear(edith)).toEqual([updated('joan', 'Joan Clarke')]);
  expect(await hear(joan)).toEqual([updated('joan', 'Joan Clarke')]);
  await removeMember(server, chat, linus);
  expect(await hear(linus)).not.toContainEqual(updated('joan', 'Joan Clarke'));

  // A change that was made before the two users shared a chat is not sent, because the new name was already visible
  // when the chat was created.
  await createGroup(joan, [grace]);
  expect(await hear(grace)).not.toContainEqual(updated('joan', 'Joan Clarke'));
  await using stream = await followEvents(server, grace, { document });
  await updateProfile(joan, { displayName: 'Joan Murray' });
  await stream.next(matching(updated('joan', 'Joan Murray')));
  expect(await hear(grace)).toContainEqual(updated('joan', 'Joan Murray'));
});

test('changes to a profile are rate-limited', async () => {
  await using limited = await startServer({ database: server.database, env: { RATE_LIMITS: 'on' } });
  const dennis = await signUp(limited, 'dennis');
  const answers = [];
  for (let count = 0; count < 21; count += 1) {
    answers.push(
      await dennis.post('mutation ($input: UpdateProfileInput!) { updateProfile(input: $input) { __typename } }', {
        input: { displayName: `dmr ${count}` },
      }),
    );
  }
  expect(answers.slice(0, 20).map(({ errors }) => errors)).toEqual(Array.from({ length: 20 }));
  expect(answers[20]?.errors).toMatchObject([{ extensions: { code: 'RATE_LIMITED' } }]);
});
