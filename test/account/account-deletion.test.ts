import { beforeAll, expect, test, vi } from 'vitest';
import { connectDatabase, disconnectDatabase, type Db } from '../../src/postgres/client.ts';
import { continueDeletions } from '../../src/account/account-deletion.ts';
import { addMembers, createChat, createGroup, createPublicChannel, heardBy, keyOf, say } from '../support/chat.ts';
import { signUp, type Data, type Person } from '../support/client.ts';
import type { TestServer } from '../support/server.ts';
import { sharedNode, sharedServer } from '../support/shared-server.ts';
import { envelopeOf, followEvents } from '../support/stream.ts';

let server: TestServer;
let otherNode: TestServer;
let ada: Person;
let grace: Person;
beforeAll(async () => {
  server = await sharedServer();
  otherNode = await sharedNode(server);
  [ada, grace] = await Promise.all([signUp(server, 'ada'), signUp(server, 'grace')]);
});

/** Erases a user's account and returns the whole result, including errors. */
async function deleteAccount(by: Person, { password = by.password, messages = 'KEEP' } = {}): Promise<Data> {
  const document = `mutation ($password: String!, $messages: ErasedMessages!) {
    deleteAccount(password: $password, messages: $messages) {
      __typename
      ... on Error { code }
      ... on AccountGone { userId }
    }
  }`;
  return (await by.ask(document, { password, messages })).deleteAccount;
}

/** Erases a user's account, and waits until the subsequent work is done. */
async function erase(person: Person, messages = 'KEEP'): Promise<void> {
  expect(await deleteAccount(person, { messages })).toEqual({ __typename: 'AccountGone', userId: person.userId });
  await isErased(person);
}

async function isErased({ userId }: Person): Promise<void> {
  await vi.waitFor(
    async () => {
      const { rows } = await server.sql.query('select from users where id = $1', [keyOf(userId)]);
      expect(rows).toEqual([]);
    },
    { timeout: 10_000, interval: 20 },
  );
}

async function messagesOf(chatId: string): Promise<Data[]> {
  const document = `query ($id: ID!) { chat(id: $id) { messages { edges { node {
    id seq content custom deletedAt clientMessageId sender { username } reactions { emoji count } mentions { user { username } }
  } } } } }`;
  const { chat } = await ada.ask(document, { id: chatId });
  const messages: Data[] = chat.messages.edges.map(({ node }: Data) => node);
  return Promise.all(messages.map(async ({ id, ...message }) => ({ ...message, revisions: await revisionsOf(id) })));
}

/** Read the revisions of one message at a time, because 100 revisions of 50 messages would exceed the size limit. */
async function revisionsOf(id: string): Promise<Data[]> {
  const document = 'query ($id: ID!) { node(id: $id) { ... on Message { revisions { content } } } }';
  return (await ada.ask(document, { id })).node.revisions;
}

async function membersOf(chatId: string): Promise<string[]> {
  const { chat } = await ada.ask(
    'query ($id: ID!) { chat(id: $id) { members { edges { node { role user { username } } } } } }',
    {
      id: chatId,
    },
  );
  return chat.members.edges.map(({ node }: Data) => `${node.user.username} ${node.role}`).toSorted();
}

const newcomer = () => signUp(server, `p${Math.random().toString(36).slice(2)}`);

test('an account is erased only with its password', async () => {
  const linus = await newcomer();
  expect(await deleteAccount(linus, { password: 'not the right one' })).toEqual({
    __typename: 'InvalidCredentials',
    code: 'INVALID_CREDENTIALS',
  });
  expect(await deleteAccount(linus, { password: '' })).toMatchObject({ __typename: 'InvalidInput' });
  expect((await linus.ask('{ viewer { user { username } } }')).viewer.user.username).toBe(linus.name);
  await erase(linus);
  const { errors } = await server.post('mutation { deleteAccount(password: "whatever it is") { __typename } }');
  expect(errors).toMatchObject([{ extensions: { code: 'UNAUTHENTICATED' } }]);
});

test('all its sessions end with it, on every node', async () => {
  const linus = await newcomer();
  const { signIn } = await server.ask(
    'mutation ($input: SignInInput!) { signIn(input: $input) { ... on SignedIn { accessToken refreshToken } } }',
    { input: { email: linus.email, password: linus.password } },
  );
  await using here = await followEvents(server, linus);
  await using there = await followEvents(otherNode, { token: signIn.accessToken });
  await deleteAccount(linus);
  for (const stream of [here, there]) {
    const [last] = (await stream.ended()).slice(-2);
    expect(last?.data.errors).toMatchObject([{ extensions: { code: 'UNAUTHENTICATED' } }]);
  }
  expect((await linus.post('{ viewer { email } }')).errors).toMatchObject([
    { extensions: { code: 'UNAUTHENTICATED' } },
  ]);
  await vi.waitFor(async () => {
    const { errors } = await otherNode.post('{ viewer { email } }', {}, { token: signIn.accessToken });
    expect(errors).toMatchObject([{ extensions: { code: 'UNAUTHENTICATED' } }]);
  });
  for (const refreshToken of [linus.refreshToken, signIn.refreshToken]) {
    const { refreshSession } = await server.ask(
      'mutation ($token: String!) { refreshSession(refreshToken: $token) { __typename } }',
      { token: refreshToken },
    );
    expect(refreshSession.__typename).toBe('InvalidCredentials');
  }
});

test('its name and email address become free, and no one can sign in with them', async () => {
  const linus = await newcomer();
  await deleteAccount(linus);
  const { signIn } = await server.ask('mutation ($input: SignInInput!) { signIn(input: $input) { __typename } }', {
    input: { email: linus.email, password: linus.password },
  });
  expect(signIn.__typename).toBe('InvalidCredentials');
  const another = await signUp(server, linus.name);
  expect(another.userId).not.toBe(linus.userId);
});

test('messages stay without a sender, and nothing else of the sender is left', async () => {
  const linus = await newcomer();
  const chat = await createGroup(ada, [linus]);
  await say(linus, chat, 'I was here', { clientMessageId: 'mine', custom: { card: 'mine' } });
  await server.sql.query(`update users set key = 'his', custom = '{"tier": "gold"}' where username = $1`, [linus.name]);
  const adas = await say(ada, chat, `hello @${linus.name}`);
  await linus.ask('mutation ($id: ID!) { addReaction(messageId: $id, emoji: "👍") { __typename } }', { id: adas });
  await ada.ask('mutation ($id: ID!) { addReaction(messageId: $id, emoji: "👍") { __typename } }', { id: adas });
  expect(await messagesOf(chat)).toMatchObject([
    { sender: { username: linus.name }, clientMessageId: 'mine' },
    { reactions: [{ count: 2 }], mentions: [{ user: { username: linus.name } }] },
  ]);
  await erase(linus);
  expect(await messagesOf(chat)).toMatchObject([
    { content: 'I was here', deletedAt: null, sender: null, clientMessageId: null, custom: {} },
    {
      content: `hello @${linus.name}`,
      sender: { username: 'ada' },
      reactions: [{ emoji: '👍', count: 1 }],
      mentions: [],
    },
  ]);
  const { node } = await ada.ask('query ($id: ID!) { node(id: $id) { id } }', { id: linus.userId });
  expect(node).toBeNull();
  const { users } = await ada.ask('query ($name: String!) { users(search: $name) { edges { cursor } } }', {
    name: linus.name,
  });
  expect(users.edges).toEqual([]);
});

test('with messages: DELETE, the messages are deleted too, with everything attached to them', async () => {
  const linus = await newcomer();
  const chat = await createGroup(ada, [linus]);
  const first = await say(linus, chat, 'a first word');
  await linus.ask('mutation ($id: ID!) { editMessage(messageId: $id, content: "a second") { __typename } }', {
    id: first,
  });
  await say(ada, chat, 'a reply', { replyToId: first });
  const second = await say(linus, chat, 'another');
  await linus.ask('mutation ($id: ID!) { deleteMessage(messageId: $id) { __typename } }', { id: second });
  await using stream = await followEvents(server, ada);
  await erase(linus, 'DELETE');
  const gone = { content: null, deletedAt: expect.any(String), sender: null, revisions: [] };
  expect(await messagesOf(chat)).toMatchObject([gone, { content: 'a reply', sender: { username: 'ada' } }, gone]);
  const heard = await heardBy(ada, stream);
  expect(heard).toMatchObject([
    { __typename: 'RemoveFromChat', userId: linus.userId, user: null },
    { __typename: 'MessageDeleted', message: { id: first, content: null } },
  ]);
});

test('nothing that identifies the user is left anywhere in the database', async () => {
  const name = `hypatia${Math.random().toString(36).slice(2)}`;
  const linus = await signUp(server, name);
  const chat = await createGroup(ada, [linus]);
  await linus.ask('mutation ($name: String!) { updateProfile(input: { displayName: $name }) { __typename } }', {
    name,
  });
  await linus.ask('mutation ($id: ID!) { blockUser(userId: $id) { __typename } }', { id: grace.userId });
  const id = await say(linus, chat, `I am ${name}`, { clientMessageId: name });
  await linus.ask('mutation ($id: ID!, $to: String!) { editMessage(messageId: $id, content: $to) { __typename } }', {
    id,
    to: `No, ${name}!`,
  });
  const tablesThatTell = async () => {
    const { rows: tables } = await server.sql.query(
      `select relname from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r'`,
    );
    const counts = await Promise.all(
      tables.map(async ({ relname }) => {
        const { rows } = await server.sql.query(
          `select count(*)::int as count from ${relname} t where lower(t::text) like '%' || $1 || '%'`,
          [name],
        );
        return [relname, rows[0].count] as const;
      }),
    );
    return counts.filter(([, count]) => count > 0).map(([table]) => table);
  };
  expect(await tablesThatTell()).toEqual(expect.arrayContaining(['users', 'messages', 'message_revisions']));
  await erase(linus, 'DELETE');
  expect(await tablesThatTell()).toEqual([]);
});

test('chats that they owned pass to the longest-standing admin, else to the longest-standing member', async () => {
  const [linus, alan, hedy] = await Promise.all([newcomer(), newcomer(), newcomer()]);
  const withAdmins = await createGroup(linus, [ada]);
  await addMembers(server, withAdmins, [alan]);
  await addMembers(server, withAdmins, [hedy]);
  for (const admin of [hedy, alan]) {
    await linus.ask(
      'mutation ($chat: ID!, $user: ID!) { setMemberRole(chatId: $chat, userId: $user, role: ADMIN) { __typename } }',
      { chat: withAdmins, user: admin.userId },
    );
  }
  const without = await createPublicChannel(linus);
  await addMembers(server, without, [hedy]);
  await addMembers(server, without, [ada]);
  const owned = await createGroup(ada, [linus]);
  await using stream = await followEvents(otherNode, ada);
  await erase(linus);
  expect(await membersOf(withAdmins)).toEqual([`ada MEMBER`, `${alan.name} OWNER`, `${hedy.name} ADMIN`].toSorted());
  expect(await membersOf(without)).toEqual(['ada MEMBER', `${hedy.name} OWNER`].toSorted());
  expect(await membersOf(owned)).toEqual(['ada OWNER']);
  const heard = await heardBy(ada, stream);
  const told = heard.map(({ __typename, chatId }): string => `${__typename} ${chatId ?? ''}`);
  expect(told.toSorted()).toEqual(
    [
      'MemberUpdated ',
      'MemberUpdated ',
      ...[withAdmins, without, owned].map((id) => `RemoveFromChat ${id}`),
    ].toSorted(),
  );
});

test('a chat with no one else is deleted with them, and a single chat stays with the other user', async () => {
  const linus = await newcomer();
  const alone = await createPublicChannel(linus);
  const { id: single } = await createChat(linus, { type: 'SINGLE', memberIds: [ada.userId] });
  await say(linus, single, 'keep this');
  await erase(linus);
  const { chat } = await ada.ask('query ($id: ID!) { chat(id: $id) { id } }', { id: alone });
  expect(chat).toBeNull();
  expect(await membersOf(single)).toEqual(['ada MEMBER']);
  expect(await messagesOf(single)).toMatchObject([{ content: 'keep this', sender: null }]);
  await say(ada, single, 'I do');
  expect(await messagesOf(single)).toHaveLength(2);
});

test('other users’ blocks of the erased account are gone', async () => {
  const linus = await newcomer();
  await grace.ask('mutation ($id: ID!) { blockUser(userId: $id) { __typename } }', { id: linus.userId });
  const blocked = async () =>
    (await grace.ask('{ viewer { blockedUsers { edges { cursor } } } }')).viewer.blockedUsers.edges;
  const before = await blocked();
  await erase(linus);
  expect(await blocked()).toHaveLength(before.length - 1);
});

/**
 * Opens a connection to the database, so that a test can do the remaining work of an erasure itself.
 */
async function inDatabase(work: (db: Db) => Promise<void>): Promise<void> {
  const { url } = server.database;
  const db = connectDatabase({ url, maxConnections: 2, statementTimeoutMs: 10_000, onError: () => undefined });
  try {
    await work(db);
  } finally {
    await disconnectDatabase(db);
  }
}

test('a crash during an erasure loses no work and repeats none', { timeout: 30_000 }, async () => {
  const linus = await newcomer();
  const key = keyOf(linus.userId);
  const chats: string[] = [];
  for (let count = 0; count < 4; count += 1) chats.push(await createGroup(linus, [ada]));
  await server.sql.query(
    `insert into messages (chat_id, sender_id, content) select $1, $2, 'message ' || n from generate_series(1, 30) n`,
    [keyOf(chats[0] as string), key],
  );
  // This is the state in which the mutation leaves the database if its server dies right afterwards.
  await server.sql.query('update users set deleted_at = now() where id = $1', [key]);
  await server.sql.query(`insert into account_deletions (user_id, messages) values ($1, 'DELETE')`, [key]);
  const left = async () => {
    const { rows } = await server.sql.query(
      `select (select count(*)::int from members where user_id = $1) as members,
        (select count(*)::int from messages where sender_id = $1) as messages`,
      [key],
    );
    return rows[0];
  };
  await using stream = await followEvents(server, ada);
  await inDatabase(async (db) => {
    expect(await continueDeletions({ db }, 20)).toBe(20);
    expect(await left()).toEqual({ members: 2, messages: 30 });
    expect(await continueDeletions({ db }, 20)).toBe(20);
    expect(await left()).toEqual({ members: 0, messages: 30 });
    expect(await continueDeletions({ db }, 100)).toBe(100);
    expect(await left()).toEqual({ members: 0, messages: 20 });
    // The next batch fails in the middle.
    await server.sql.query(
      `create function die() returns trigger language plpgsql as $$ begin raise exception 'killed'; end $$;
      create trigger die before update on messages for each row when (old.content = 'message 15') execute function die()`,
    );
    await expect(continueDeletions({ db }, 100)).rejects.toThrow('killed');
    expect(await left()).toEqual({ members: 0, messages: 20 });
    await server.sql.query('drop function die cascade');
    // Two nodes work at the same time.
    while (
      (await Promise.all([continueDeletions({ db }, 100), continueDeletions({ db }, 100)])).some((many) => many > 0)
    );
    expect(await continueDeletions({ db }, 100)).toBe(0);
  });
  await isErased(linus);
  const heard = await heardBy(ada, stream);
  const counts = Map.groupBy(heard, ({ __typename }) => __typename);
  expect(counts.get('RemoveFromChat')).toHaveLength(4);
  expect(counts.get('MessageDeleted')).toHaveLength(30);
  expect(new Set(counts.get('MessageDeleted')?.map(({ message }) => message.id)).size).toBe(30);
  expect(stream.frames.map((frame) => envelopeOf(frame)?.cursor)).toEqual([
    ...new Set(stream.frames.map((frame) => envelopeOf(frame)?.cursor)),
  ]);
});

test(
  'an erasure that is stuck blocks no others, and rows that were added in the meantime are erased too',
  { timeout: 30_000 },
  async () => {
    const [stuck, linus] = await Promise.all([newcomer(), newcomer()]);
    const held = await createGroup(stuck, [ada]);
    for (const person of [stuck, linus]) {
      await server.sql.query(`update users set deleted_at = now() where id = $1`, [keyOf(person.userId)]);
      await server.sql.query(`insert into account_deletions (user_id, messages) values ($1, 'KEEP')`, [
        keyOf(person.userId),
      ]);
    }
    const holder = await server.sql.connect();
    await holder.query('begin');
    await holder.query('select from account_deletions where user_id = $1 for update', [keyOf(stuck.userId)]);
    await inDatabase(async (db) => {
      while ((await continueDeletions({ db }, 10)) > 0);
      await isErased(linus);
      await holder.query('rollback');
      holder.release();
      // The remaining membership represents one that was added after the others had been deleted, by a request whose
      // token had been valid until just before.
      await server.sql.query('delete from members where user_id = $1 and chat_id <> $2', [
        keyOf(stuck.userId),
        keyOf(held),
      ]);
      while ((await continueDeletions({ db }, 10)) > 0);
    });
    await isErased(stuck);
    expect(await membersOf(held)).toEqual(['ada OWNER']);
  },
);
