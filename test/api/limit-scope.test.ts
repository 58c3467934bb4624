import { beforeAll, describe, expect, test } from 'vitest';
import { createGroup, say } from '../support/chat.ts';
import { createProgram } from '../support/api-key.ts';
import { type Answer, type Person, signIn, signUp, signUpAll } from '../support/client.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { setRoleWithSql } from '../support/staff.ts';

/** A node without limits, on which users sign up and create what the requests need. */
let unlimited: TestServer;
let chatId: string;
let messageId: string;
let ada: Person;
let grace: Person;
let linus: Person;

beforeAll(async () => {
  unlimited = await startServer();
  [ada, grace, linus] = await signUpAll(unlimited, 'ada', 'grace', 'linus');
  chatId = await createGroup(ada, [grace, linus]);
  messageId = await say(ada, chatId, 'hello');
});

/** A request for each limit that applies per session, per account and per address. */
const activities: [string, () => { query: string; variables?: unknown } | 'UPLOAD'][] = [
  ['SENDS', () => mutation('sendMessage(input: { chatId: $id, content: "hello" })', chatId)],
  ['REACTIONS', () => mutation('addReaction(messageId: $id, emoji: "👍")', messageId)],
  ['READ_MARKERS', () => mutation('markRead(chatId: $id, seq: 1)', chatId)],
  ['TYPING', () => ({ query: 'mutation ($id: ID!) { startTyping(chatId: $id) }', variables: { id: chatId } })],
  ['PRESENCE', () => ({ query: 'mutation { setPresence(status: AWAY) { __typename } }' })],
  ['NEW_CHATS', () => ({ query: 'mutation { createChat(input: { type: GROUP, name: "a" }) { __typename } }' })],
  ['PROFILE', () => ({ query: 'mutation { updateProfile(input: { displayName: "A" }) { __typename } }' })],
  ['CHANGES', () => mutation('pinMessage(messageId: $id)', messageId)],
  ['SEARCHES', () => ({ query: '{ users(search: "gra") { pageInfo { hasNextPage } } }' })],
  ['UPLOADS', () => 'UPLOAD'],
];

function mutation(field: string, id: string) {
  return { query: `mutation ($id: ID!) { ${field} { __typename } }`, variables: { id } };
}

/**
 * Sends the request for the limit `name` once, through a proxy that reports the address. Returns the limit that was
 * exceeded, or null.
 */
async function act(node: TestServer, by: Person, { name, address }: { name: string; address: string }) {
  const what = activities.find(([activity]) => activity === name)?.[1]() ?? 'UPLOAD';
  const headers = { authorization: `Bearer ${by.token}`, 'x-forwarded-for': address };
  const form = new FormData();
  form.append('files', new Blob(['hello']), 'notes.txt');
  const response =
    what === 'UPLOAD'
      ? await fetch(`${node.url}/api/upload`, { method: 'POST', headers, body: form })
      : await fetch(`${node.url}/graphql`, {
          method: 'POST',
          headers: { ...headers, 'content-type': 'application/json' },
          body: JSON.stringify(what),
        });
  const text = await response.text();
  const isRefused = text.includes('RATE_LIMITED') || response.status === 429;
  expect(response.headers.has('retry-after'), text).toBe(isRefused);
  const [, limit = null] = /^"(\w+)";r=0;/.exec(response.headers.get('ratelimit') ?? '') ?? [];
  return isRefused ? limit : null;
}

/** Starts a node on which the limits whose names end in `ending` allow each activity twice a minute. */
function startLimited(ending: string): Promise<TestServer> {
  const quotas = activities.map(([name]) => [`RATE_LIMIT_${name}${ending}`, '2/1m']);
  const env = { RATE_LIMITS: 'on', TRUST_PROXY: '1', ...Object.fromEntries(quotas) };
  return startServer({ database: unlimited.database, env });
}

const names = activities.map(([name]) => name);
const [here, there] = ['192.0.2.1', '198.51.100.1'];

describe('per session', () => {
  let node: TestServer;
  beforeAll(async () => {
    node = await startLimited('_PER_SESSION');
  });

  test.each(names)('%s: one device that does too much does not affect the user’s other devices', async (name) => {
    const phone = await signIn(unlimited, ada);
    const outcomes = [];
    for (let n = 0; n < 3; n += 1) outcomes.push(await act(node, ada, { name, address: here }));
    expect(outcomes).toEqual([null, null, `RATE_LIMIT_${name}_PER_SESSION`]);
    expect(await act(node, phone, { name, address: here })).toBeNull();
  });
});

describe('per account', () => {
  let node: TestServer;
  beforeAll(async () => {
    node = await startLimited('');
  });

  test.each(names)('%s: all devices of a user count together, wherever they are', async (name) => {
    const phone = await signIn(unlimited, grace);
    expect(await act(node, grace, { name, address: here })).toBeNull();
    expect(await act(node, phone, { name, address: there })).toBeNull();
    expect(await act(node, phone, { name, address: here })).toBe(`RATE_LIMIT_${name}`);
    expect(await act(node, linus, { name, address: here })).toBeNull();
  });
});

describe('per address', () => {
  let node: TestServer;
  beforeAll(async () => {
    node = await startLimited('_PER_ADDRESS');
  });

  test.each(names)('%s: all users of a network count together, and an IPv6 network is a /64', async (name) => {
    expect(await act(node, ada, { name, address: '2001:db8:0:1::1' })).toBeNull();
    expect(await act(node, grace, { name, address: '2001:db8:0:1::2' })).toBeNull();
    expect(await act(node, linus, { name, address: '2001:db8:0:1:ffff::1' })).toBe(`RATE_LIMIT_${name}_PER_ADDRESS`);
    expect(await act(node, linus, { name, address: '2001:db8:0:2::1' })).toBeNull();
    // Only the entry that the proxy added counts. Entries that the client sent are ignored.
    expect(await act(node, linus, { name, address: '203.0.113.1, 2001:db8:0:1::3' })).not.toBeNull();
  });
});

test('a request that is refused for its session uses none of the account’s quota', async () => {
  const env = { RATE_LIMITS: 'on', RATE_LIMIT_SENDS: '4/1m', RATE_LIMIT_SENDS_PER_SESSION: '3/1m' };
  await using node = await startServer({ database: unlimited.database, env });
  const phone = await signIn(unlimited, linus);
  const outcomes = [];
  for (const by of [linus, linus, linus, linus, linus, phone, phone]) {
    outcomes.push(await act(node, by, { name: 'SENDS', address: here }));
  }
  const [ofSession, ofAccount] = ['RATE_LIMIT_SENDS_PER_SESSION', 'RATE_LIMIT_SENDS'];
  expect(outcomes).toEqual([null, null, null, ofSession, ofSession, null, ofAccount]);
});

test('members added to a new chat count one by one, and a refusal says which limit was reached', async () => {
  const env = { RATE_LIMITS: 'on', RATE_LIMIT_NEW_MEMBERS_PER_SESSION: '1/10m' };
  await using node = await startServer({ database: unlimited.database, env });
  const response = await fetch(`${node.url}/graphql`, {
    method: 'POST',
    headers: { authorization: `Bearer ${ada.token}`, 'content-type': 'application/json' },
    body: JSON.stringify({
      query: 'mutation ($ids: [ID!]) { createChat(input: { type: GROUP, name: "a", memberIds: $ids }) { __typename } }',
      variables: { ids: [grace.userId, linus.userId] },
    }),
  });
  expect(await response.json()).toMatchObject({
    errors: [
      {
        message: 'You are adding too many people on this device.',
        extensions: { code: 'RATE_LIMITED', limit: 'RATE_LIMIT_NEW_MEMBERS_PER_SESSION', count: 1, windowSeconds: 600 },
      },
    ],
  });
});

test('with the default limits, twenty people behind one address may each send ten messages at the same time', async () => {
  await using node = await startServer({ database: unlimited.database, env: { RATE_LIMITS: 'on' } });
  const people = await Promise.all(Array.from({ length: 20 }, (_, n) => signUp(unlimited, `guest${n}`)));
  await ada.ask(
    'mutation ($chatId: ID!, $userIds: [ID!]!) { addMembers(chatId: $chatId, userIds: $userIds) { __typename } }',
    {
      chatId,
      userIds: people.map(({ userId }) => userId),
    },
  );
  const bursts = people.flatMap((by) =>
    Array.from({ length: 10 }, () => act(node, by, { name: 'SENDS', address: here })),
  );
  expect(new Set(await Promise.all(bursts))).toEqual(new Set([null]));
});

describe('a program with an API key', () => {
  const env = {
    RATE_LIMITS: 'on',
    ...{ RATE_LIMIT_SENDS: '5/1m', RATE_LIMIT_SENDS_PER_SESSION: '3/1m', RATE_LIMIT_SENDS_PER_ADDRESS: '4/1m' },
    ...{ RATE_LIMIT_CHANGES_PER_ADDRESS: '2/1m', RATE_LIMIT_NEW_MEMBERS_PER_ADDRESS: '2/1m' },
  };
  const limitOf = ({ errors }: Answer) => errors?.[0]?.extensions?.['limit'] ?? null;
  const send = 'mutation ($id: ID!) { sendMessage(input: { chatId: $id, content: "x" }) { __typename } }';
  const upsert = `mutation ($key: String!, $memberIds: [ID!]) {
    upsertChat(input: { key: $key, type: GROUP, memberIds: $memberIds }) { __typename }
  }`;
  let admin: Person;
  beforeAll(async () => {
    admin = await signUp(unlimited, 'root');
    await setRoleWithSql(unlimited, admin, 'ADMIN');
  });

  test('counts for the user that it acts as, each key like a device, and never for its address', async () => {
    await using node = await startServer({ database: unlimited.database, env });
    const scopes = ['ACT_AS', 'CHATS_READ', 'MESSAGES_WRITE'];
    const [one, other] = [await createProgram(node, admin, scopes), await createProgram(node, admin, scopes)];
    const outcomes = [];
    for (const by of [one, one, one, one, other, other, other].map((each) => each.as(grace.userId))) {
      outcomes.push(limitOf(await by.post(send, { id: chatId })));
    }
    const [ofSession, ofAccount] = ['RATE_LIMIT_SENDS_PER_SESSION', 'RATE_LIMIT_SENDS'];
    expect(outcomes).toEqual([null, null, null, ofSession, null, null, ofAccount]);
    // The same key acts for another user, from an address that has already sent more requests than the limit for
    // addresses allows.
    for (let count = 0; count < 3; count += 1) {
      expect(limitOf(await one.as(linus.userId).post(send, { id: chatId }))).toBeNull();
    }
    const authorized = { token: ada.token };
    for (let count = 0; count < 3; count += 1) {
      expect(limitOf(await node.post(send, { id: chatId }, authorized))).toBeNull();
    }
  });

  test('that speaks for no user has limits of its own, and the members of upsertChat count', async () => {
    await using node = await startServer({ database: unlimited.database, env });
    const [one, other] = [
      await createProgram(node, admin, ['CHATS_WRITE']),
      await createProgram(node, admin, ['CHATS_WRITE']),
    ];
    const outcomes = [];
    for (const by of [one, one, one, other]) outcomes.push(limitOf(await by.post(upsert, { key: 'order:1' })));
    expect(outcomes).toEqual([null, null, 'RATE_LIMIT_CHANGES_PER_ADDRESS', null]);
    const memberIds = [ada, grace, linus].map(({ userId }) => userId);
    expect(limitOf(await other.post(upsert, { key: 'order:2', memberIds }))).toBe('RATE_LIMIT_NEW_MEMBERS_PER_ADDRESS');
  });
});
