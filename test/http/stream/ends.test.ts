import { decodeJwt, SignJWT } from 'jose';
import { beforeAll, describe, expect, test, vi } from 'vitest';
import { generateKeySet, parseKeySet } from '../../../src/account/token-key.ts';
import {
  addMembers,
  createGroup,
  createPublicChannel,
  insertMessage,
  keyOf,
  removeMember,
} from '../../support/chat.ts';
import { type Person, signUpAll } from '../../support/client.ts';
import { rounds } from '../../support/rounds.ts';
import { complaintsOf, startServer, type TestServer } from '../../support/server.ts';
import { completed, give, happened, openReserved, reserve } from '../../support/single.ts';
import {
  chatEventsDocument,
  EventStream,
  eventOf,
  eventsDocument,
  followChat,
  followEvents,
  openStream,
  type Frame,
} from '../../support/stream.ts';

const keys = generateKeySet();
const { signing } = parseKeySet(keys);

let server: TestServer;
let other: TestServer;
let ada: Person;
let grace: Person;
let linus: Person;
beforeAll(async () => {
  const options = { env: { JWT_KEYS: keys }, overrides: { streamTimes: { sweep: 20 } } };
  server = await startServer(options);
  other = await startServer({ ...options, database: server.database });
  [ada, grace, linus] = await signUpAll(server, 'ada', 'grace', 'linus');
});

/** Signs the user in on another device. */
async function signIn(person: Person): Promise<{ token: string; sessionId: string }> {
  const { signIn: signedIn } = await server.ask(
    'mutation ($input: SignInInput!) { signIn(input: $input) { ... on SignedIn { accessToken } } }',
    { input: { email: person.email, password: person.password } },
  );
  const token: string = signedIn.accessToken;
  const { viewer } = await server.ask('{ viewer { sessions { id isCurrent } } }', {}, token);
  return { token, sessionId: viewer.sessions.find(({ isCurrent }: { isCurrent: boolean }) => isCurrent).id };
}

const revoke = (by: Person, sessionId: string) =>
  other.ask('mutation ($id: ID!) { revokeSession(sessionId: $id) { __typename } }', { id: sessionId }, by.token);

/** Opens a stream with a GET request that has a token in its URL. */
async function openByUrl(node: TestServer, by: { token: string }): Promise<EventStream> {
  const { streamToken } = await server.ask('mutation { streamToken }', {}, by.token);
  const abort = new AbortController();
  const params = new URLSearchParams({ streamToken, query: eventsDocument });
  const response = await fetch(`${node.url}/graphql/stream?${params}`, {
    headers: { accept: 'text/event-stream' },
    signal: abort.signal,
  });
  const stream = new EventStream(response, abort);
  await stream.next('CaughtUp');
  return stream;
}

/** Expects that the last two frames are those of a stream that ended permanently: the reason and the end. */
function expectEndedForGood(frames: Frame[], code: string): void {
  const [next, complete] = frames.slice(-2);
  expect(next).toMatchObject({ id: null, event: 'next', data: { errors: [{ extensions: { code } }] } });
  expect(next?.data.data).toBeUndefined();
  expect(complete).toEqual({ id: null, event: 'complete', data: null });
}

describe('a session', () => {
  const ways: [string, (device: { token: string; sessionId: string }) => Promise<unknown>][] = [
    ['is revoked', ({ sessionId }) => revoke(ada, sessionId)],
    ['signs out', ({ token }) => other.ask('mutation { signOut }', {}, token)],
    [
      'is deleted with SQL',
      ({ sessionId }) => server.sql.query('delete from sessions where id = $1', [keyOf(sessionId)]),
    ],
  ];

  test.for(ways)('that %s loses all of its streams, on every node, and other sessions keep theirs', async ([, end]) => {
    const device = await signIn(ada);
    const chatId = await createGroup(ada, [grace]);
    const streams = await Promise.all(
      [server, other].flatMap((node) => [
        followEvents(node, device),
        followChat(node, device, chatId),
        openByUrl(node, device),
      ]),
    );
    await using own = await followEvents(server, ada);
    await insertMessage(server, chatId, grace, 'before');
    const startedAt = performance.now();
    await end(device);
    const ended = await Promise.all(streams.map((stream) => stream.ended()));
    expect(performance.now() - startedAt).toBeLessThan(1_000);
    for (const frames of ended) {
      expect(eventOf(frames.at(-3) as Frame)).toMatchObject({ message: { content: 'before' } });
      expectEndedForGood(frames, 'UNAUTHENTICATED');
    }
    await insertMessage(server, chatId, grace, 'after');
    const heard = (await own.until((frame) => eventOf(frame)?.message?.content === 'after')).map((frame) =>
      eventOf(frame),
    );
    expect(heard.map(({ message }) => message.content)).toEqual(['before', 'after']);
  });

  test('that ends closes every operation of its single connection, and then the connection', async () => {
    const device = await signIn(ada);
    const chatId = await createGroup(ada, [grace]);
    const token = await reserve(server, device);
    await using stream = await openReserved(server, device, token);
    await give(other, device, token, { id: 'all', query: eventsDocument });
    await give(server, device, token, { id: 'chat', query: chatEventsDocument, variables: { chatId } });
    await vi.waitFor(() => expect(stream.frames).toHaveLength(2));
    await insertMessage(server, chatId, grace, 'before');
    const startedAt = performance.now();
    await revoke(ada, device.sessionId);
    await vi.waitFor(() => expect(stream.frames).toHaveLength(8));
    expect(performance.now() - startedAt).toBeLessThan(1_000);
    for (const id of ['all', 'chat']) {
      const [, message, error, complete] = stream.frames.filter(({ data }) => data.id === id);
      expect(message).toSatisfy(happened(id, 'NewMessage'));
      expect(error?.data.payload).toMatchObject({ errors: [{ extensions: { code: 'UNAUTHENTICATED' } }] });
      expect(complete).toEqual({ id: null, event: 'complete', data: { id } });
    }
    // The session may stay cached for a moment, but the stream ends.
    expect([401, 404]).toContain((await give(server, device, token, { id: 'late', query: eventsDocument })).status);
    await stream.ended();
    expect((await server.sql.query('select from stream_reservations')).rowCount).toBe(0);
  });
});

describe('a stream of one chat', () => {
  const ways: [string, (chatId: string) => Promise<unknown>, string][] = [
    ['from which its reader is removed', (chatId) => removeMember(server, chatId, linus), 'RemoveFromChat'],
    [
      'that is deleted',
      (chatId) => server.sql.query('delete from chats where id = $1', [keyOf(chatId)]),
      'ChatDeleted',
    ],
  ];

  test.for(ways)('%s delivers everything that happened earlier, and then ends for good', async ([, lose, last]) => {
    const chatId = await createGroup(ada, [grace, linus]);
    const streams = await Promise.all([server, other].map((node) => followChat(node, linus, chatId)));
    const token = await reserve(server, linus);
    await using single = await openReserved(other, linus, token);
    await give(server, linus, token, { id: '1', query: chatEventsDocument, variables: { chatId } });
    await single.next(happened('1', 'CaughtUp'));
    await using all = await followEvents(other, linus);
    await insertMessage(server, chatId, grace, 'before');
    await Promise.all([...streams, all].map((stream) => stream.next('NewMessage')));
    await single.next(happened('1', 'NewMessage'));
    await lose(chatId);
    for (const stream of streams) {
      const frames = await stream.ended();
      expect(frames.slice(0, -2).map((frame) => eventOf(frame).__typename)).toEqual([last]);
      expectEndedForGood(frames, 'NOT_FOUND');
    }
    const frames = await single.until(completed('1'));
    expect(frames.map(({ event }) => event)).toEqual(['next', 'next', 'complete']);
    expect(frames[1]?.data.payload).toMatchObject({ errors: [{ extensions: { code: 'NOT_FOUND' } }] });
    // The connection and the user's other streams continue.
    expect((await give(server, linus, token, { id: '1', query: '{ __typename }' })).status).toBe(202);
    await single.next(completed('1'));
    const elsewhere = await createGroup(ada, [linus]);
    expect((await all.until('NewChat')).map((frame) => eventOf(frame).__typename)).toEqual([last, 'NewChat']);
    expect(elsewhere).not.toBe(chatId);
  });

  test('of a channel that becomes private ends for readers who are not members', async () => {
    const channelId = await createPublicChannel(ada);
    await addMembers(server, channelId, [grace]);
    const readers = await Promise.all([server, other].map((node) => followChat(node, linus, channelId)));
    await using member = await followChat(other, grace, channelId);
    await insertMessage(server, channelId, ada, 'to everyone');
    for (const stream of [...readers, member]) await stream.next('NewMessage');
    await server.sql.query(`update chats set type = 'PRIVATE_CHANNEL' where id = $1`, [keyOf(channelId)]);
    await insertMessage(server, channelId, ada, 'to members');
    for (const reader of readers) {
      const frames = await reader.ended();
      expect(frames.slice(0, -2).map((frame) => eventOf(frame).__typename)).toEqual(['ChatUpdated']);
      expectEndedForGood(frames, 'NOT_FOUND');
      expect(reader.text).not.toContain('to members');
    }
    const heard = await member.until((frame) => eventOf(frame)?.message?.content === 'to members');
    expect(heard.map((frame) => eventOf(frame).__typename)).toEqual(['ChatUpdated', 'NewMessage']);
    await using back = await openStream(server, linus, chatEventsDocument, { variables: { chatId: channelId } });
    expectEndedForGood(await back.ended(), 'NOT_FOUND');
  });
});

test('an event whose subject is deleted before delivery is left out', async () => {
  await using stream = await followEvents(server, linus);
  for (let round = 0; round < rounds(6, 15); round += 1) {
    const chatId = await createGroup(ada, [linus]);
    await stream.next('NewChat');
    for (const content of ['one', 'two', 'three']) await insertMessage(server, chatId, ada, content);
    await server.sql.query('delete from chats where id = $1', [keyOf(chatId)]);
    const frames = await stream.until('ChatDeleted');
    for (const frame of frames) expect(frame.data.errors).toBeUndefined();
  }
  expect(server.log.filter(({ level }) => level === 'error')).toEqual([]);
});

/** Returns the time in ms after which each of these streams ends. Expects that none of them ends with `complete`. */
async function readEnds(streams: EventStream[]): Promise<number[]> {
  const startedAt = performance.now();
  const times = await Promise.all(
    streams.map(async (stream) => {
      await stream.ended();
      return performance.now() - startedAt;
    }),
  );
  for (const stream of streams) {
    expect(stream.text).not.toContain('event: complete');
    expect(stream.text).not.toContain('errors');
  }
  return times.toSorted((one, another) => one - another);
}

describe('when their clients should reconnect, without `complete`:', () => {
  const openMany = async (node: TestServer, device: { token: string }, count: number) => {
    const streams = await Promise.all(Array.from({ length: count - 1 }, () => followEvents(node, device)));
    const token = await reserve(node, device);
    const single = await openReserved(node, device, token);
    await give(node, device, token, { id: '1', query: eventsDocument });
    await single.next(happened('1', 'CaughtUp'));
    return [...streams, single];
  };

  test('streams whose token expires end before it does, at different times', async () => {
    const expiresAt = Math.ceil(Date.now() / 1_000) + 4;
    const brief = await new SignJWT({ ...decodeJwt(ada.token), exp: expiresAt })
      .setProtectedHeader({ alg: 'EdDSA', kid: signing.kid, typ: 'JWT' })
      .sign(signing.key);
    const streams = await openMany(server, { token: brief }, 15);
    const ends = await readEnds(streams);
    expect(Date.now()).toBeLessThan(expiresAt * 1_000 + 200);
    expect((ends.at(-1) ?? 0) - (ends[0] ?? 0)).toBeGreaterThan(200);
    expect(new Set(ends.map((end) => Math.round(end / 20))).size).toBeGreaterThan(4);
  });

  test('streams of a server that stops end one after the other', async () => {
    const going = await startServer({
      database: server.database,
      env: { JWT_KEYS: keys, MAX_STREAMS_PER_SESSION: '0' },
    });
    const streams = await openMany(going, ada, 100);
    const reading = readEnds(streams);
    const closed = going.close();
    const ends = await reading;
    await closed;
    expect((ends.at(-1) ?? 0) - (ends[0] ?? 0)).toBeGreaterThan(100);
    expect(ends.at(-1)).toBeLessThan(3_000);
    // Nothing is left behind, in the database or in the log.
    expect((await server.sql.query('select from stream_reservations')).rowCount).toBe(0);
    expect(complaintsOf(going)).toEqual([]);
  });
});
