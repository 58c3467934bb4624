import { beforeAll, expect, test } from 'vitest';
import { encodeId } from '../../src/core/id.ts';
import { createChat, keyOf } from '../support/chat.ts';
import { type Person, type Variables, signUp, signUpAll } from '../support/client.ts';
import type { TestServer } from '../support/server.ts';
import { sharedNode, sharedServer } from '../support/shared-server.ts';

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

const emoji = '👩‍🚀'; // three code points, five UTF-16 units

/** Returns the input paths in the error that refuses this input. Checks that no chat is created. */
async function refusedAt(input: Variables): Promise<string[]> {
  const count = async () => (await server.sql.query('select count(*) from chats')).rows[0].count;
  const before = await count();
  const outcome = await createChat(ada, input);
  expect(outcome).toMatchObject({ __typename: 'InvalidInput', code: 'INVALID_INPUT' });
  expect(await count()).toBe(before);
  return outcome.fields.map(({ path }: { path: string[] }) => path.join('.'));
}

async function membersOf(chatId: string) {
  const { rows } = await server.sql.query(
    `select u.username, m.role from members m join users u on u.id = m.user_id where chat_id = $1 order by m.user_id`,
    [keyOf(chatId)],
  );
  return Object.fromEntries(rows.map(({ username, role }) => [username, role]));
}

test('the creator of a group owns it, and the others are members', async () => {
  const chat = await createChat(ada, {
    type: 'GROUP',
    name: 'engines',
    description: 'analytical\n\tand otherwise',
    memberIds: [grace.userId, linus.userId, grace.userId],
  });
  expect(chat).toMatchObject({
    __typename: 'Chat',
    type: 'GROUP',
    name: 'engines',
    description: 'analytical\n\tand otherwise',
    lastSeq: 0,
    memberCount: 3,
  });
  expect(await membersOf(chat.id)).toEqual({ ada: 'OWNER', grace: 'MEMBER', linus: 'MEMBER' });
});

test('a group needs no name, but at least one other user', async () => {
  const chat = await createChat(ada, { type: 'GROUP', memberIds: [grace.userId] });
  expect(chat).toMatchObject({ __typename: 'Chat', name: null, description: null });
  expect(await refusedAt({ type: 'GROUP', name: 'only me', memberIds: [ada.userId] })).toEqual(['memberIds']);
  expect(await refusedAt({ type: 'GROUP', name: 'nobody' })).toEqual(['memberIds']);
});

test.each(['PRIVATE_CHANNEL', 'PUBLIC_CHANNEL'])(
  'a %s has a name, and needs no member but its creator',
  async (type) => {
    const alone = await createChat(ada, { type, name: 'news' });
    expect(alone).toMatchObject({ __typename: 'Chat', type, name: 'news' });
    expect(await membersOf(alone.id)).toEqual({ ada: 'OWNER' });
    const shared = await createChat(ada, { type, name: 'news', memberIds: [linus.userId] });
    expect(await membersOf(shared.id)).toEqual({ ada: 'OWNER', linus: 'MEMBER' });
    expect(await refusedAt({ type, memberIds: [linus.userId] })).toEqual(['name']);
  },
);

test('a single chat has one other user, and neither name nor description', async () => {
  const people = [grace.userId];
  expect(await refusedAt({ type: 'SINGLE' })).toEqual(['memberIds']);
  expect(await refusedAt({ type: 'SINGLE', memberIds: [grace.userId, linus.userId] })).toEqual(['memberIds']);
  expect(await refusedAt({ type: 'SINGLE', name: 'us', memberIds: people })).toEqual(['name']);
  expect(await refusedAt({ type: 'SINGLE', description: 'us two', memberIds: people })).toEqual(['description']);
  const chat = await createChat(ada, { type: 'SINGLE', memberIds: people });
  expect(chat).toMatchObject({ __typename: 'Chat', type: 'SINGLE', name: null, memberCount: 2 });
});

test('two users share one single chat, whichever of them creates it', async () => {
  const [hedy, marie] = await Promise.all([signUp(server, 'hedy'), signUp(server, 'marie')]);
  const first = await createChat(hedy, { type: 'SINGLE', memberIds: [marie.userId] });
  expect(await createChat(hedy, { type: 'SINGLE', memberIds: [marie.userId, marie.userId] })).toEqual(first);
  expect(await createChat(marie, { type: 'SINGLE', memberIds: [hedy.userId] })).toEqual(first);
  expect((await createChat(hedy, { type: 'SINGLE', memberIds: [ada.userId] })).id).not.toBe(first.id);
});

test('ten concurrent requests, from both sides and on two nodes, get the same single chat', async () => {
  const alan = await signUp(server, 'alan');
  const alonzo = await signUp(otherNode, 'alonzo');
  const { rows: before } = await server.sql.query('select count(*)::int as chats from chats');
  const chats = await Promise.all(
    Array.from({ length: 10 }, (_, index) => {
      const [by, other] = index % 2 === 0 ? [alan, alonzo] : [alonzo, alan];
      return createChat(by, { type: 'SINGLE', memberIds: [other.userId] });
    }),
  );
  expect(new Set(chats.map(({ __typename, id }) => `${__typename} ${id}`))).toEqual(new Set([`Chat ${chats[0].id}`]));
  expect(await membersOf(chats[0].id)).toMatchObject({ alan: expect.any(String), alonzo: expect.any(String) });
  const { rows: after } = await server.sql.query('select count(*)::int as chats from chats');
  expect(after[0].chats).toBe(before[0].chats + 1);
  const { rows: events } = await server.sql.query('select kind from events where chat_id = $1', [keyOf(chats[0].id)]);
  expect(events).toEqual([{ kind: 'NewChat' }]);
});

test('a single chat with oneself has one member', async () => {
  const barbara = await signUp(server, 'barbara');
  const notes = await createChat(barbara, { type: 'SINGLE', memberIds: [barbara.userId] });
  expect(notes).toMatchObject({ __typename: 'Chat', memberCount: 1 });
  expect(await membersOf(notes.id)).toEqual({ barbara: 'MEMBER' });
  expect((await createChat(barbara, { type: 'SINGLE', memberIds: [barbara.userId] })).id).toBe(notes.id);
});

test('the error names users who do not exist', async () => {
  const nobody = encodeId('User', 2n ** 62n);
  const memberIds = [grace.userId, nobody, linus.userId, encodeId('User', 0)];
  expect(await refusedAt({ type: 'GROUP', memberIds })).toEqual(['memberIds.1', 'memberIds.3']);
  expect(await refusedAt({ type: 'PUBLIC_CHANNEL', name: 'news', memberIds: [nobody] })).toEqual(['memberIds.0']);
  expect(await refusedAt({ type: 'SINGLE', memberIds: [nobody] })).toEqual(['memberIds.0']);
});

test('the error also names ids that are not those of users', async () => {
  const chat = await createChat(ada, { type: 'GROUP', memberIds: [grace.userId] });
  for (const wrong of [chat.id, 'nonsense', '', '1', 'x'.repeat(10_000)]) {
    expect(await refusedAt({ type: 'GROUP', memberIds: [grace.userId, wrong] })).toEqual(['memberIds.1']);
  }
});

test('at most a thousand users can be given in one call', async () => {
  const memberIds = Array.from({ length: 1_001 }, () => grace.userId);
  expect(await createChat(ada, { type: 'GROUP', memberIds: memberIds.slice(1) })).toMatchObject({ memberCount: 2 });
  expect(await refusedAt({ type: 'GROUP', memberIds })).toEqual(['memberIds']);
});

test('a name has at most 64 characters and a description at most 1,000, counted in code points', async () => {
  const channel = (name: string, description?: string) => ({ type: 'PUBLIC_CHANNEL', name, description });
  const longest = channel(emoji.repeat(21) + 'x', emoji.repeat(333) + 'x');
  expect(await createChat(ada, longest)).toMatchObject({ name: longest.name, description: longest.description });
  expect(await refusedAt(channel(`${longest.name}x`))).toEqual(['name']);
  expect(await refusedAt(channel('ok', `${longest.description}x`))).toEqual(['description']);
  expect(await refusedAt(channel('x'.repeat(100_000), 'x'.repeat(100_000)))).toEqual(['name', 'description']);
});

test('whitespace around a name is trimmed, and does not count', async () => {
  const chat = await createChat(ada, {
    type: 'PUBLIC_CHANNEL',
    name: ` \t${'x'.repeat(64)}\n `,
    description: '\n y \n',
  });
  expect(chat).toMatchObject({ name: 'x'.repeat(64), description: 'y' });
  expect(await refusedAt({ type: 'PUBLIC_CHANNEL', name: ' \u00a0\u3000\t', description: ' \n ' })).toEqual([
    'name',
    'description',
  ]);
});

test('a name is one line, and a description has no control characters but newline and tab', async () => {
  const refused = ['\u0000', '\u0007', '\u001b', '\u007f', '\u0085', '\ud800'];
  for (const control of refused) {
    expect(await refusedAt({ type: 'PUBLIC_CHANNEL', name: `a${control}b`, description: `a${control}b` })).toEqual([
      'name',
      'description',
    ]);
  }
  for (const control of ['\n', '\t', '\r']) {
    expect(await refusedAt({ type: 'PUBLIC_CHANNEL', name: `a${control}b` })).toEqual(['name']);
  }
  const chat = await createChat(ada, { type: 'PUBLIC_CHANNEL', name: 'ok', description: 'a\r\nb\rc\n\td' });
  expect(chat).toMatchObject({ description: 'a\nb\nc\n\td' });
});

test('several errors are reported together', async () => {
  expect(await refusedAt({ type: 'GROUP', name: 'a\u0007', description: '', memberIds: [] })).toEqual([
    'name',
    'description',
    'memberIds',
  ]);
});

test('an unknown type, a missing one and a name that is not a string are answered with BAD_REQUEST', async () => {
  for (const input of [
    { type: 'TRIPLE' },
    { name: 'no type' },
    { type: 'GROUP', name: 7 },
    { type: 'GROUP', memberIds: [null] },
  ]) {
    const { data, errors } = await ada.post(
      'mutation ($input: CreateChatInput!) { createChat(input: $input) { __typename } }',
      {
        input,
      },
    );
    expect(data).toBeUndefined();
    expect(errors).toMatchObject([{ extensions: { code: 'BAD_REQUEST' } }]);
  }
});

test('creating a chat requires a signed-in user', async () => {
  const { data, errors } = await server.post(
    'mutation { createChat(input: { type: PUBLIC_CHANNEL, name: "news" }) { __typename } }',
  );
  expect(data ?? null).toBeNull();
  expect(errors).toMatchObject([{ extensions: { code: 'UNAUTHENTICATED' } }]);
});
