import type { IncomingMessage } from 'node:http';
import { expect, test, vi } from 'vitest';
import { addressOf } from '../../../src/http/address.ts';
import { generateKeySet } from '../../../src/account/token-key.ts';
import { createGroup, insertMessage } from '../../support/chat.ts';
import { signUp, type Person } from '../../support/client.ts';
import { racing, startServer } from '../../support/server.ts';
import { completed, give, openReserved, request, reserve } from '../../support/single.ts';
import {
  envelopeOf,
  eventOf,
  eventsDocument,
  followEvents,
  openStream,
  type EventStream,
} from '../../support/stream.ts';

const closeAll = (streams: EventStream[]) => Promise.all(streams.map((stream) => stream.close()));

/** Returns the refusal of one more stream, or null if the server accepts it. */
async function refusalOf(node: { url: string }, by: Person | { token: string }, headers: Record<string, string> = {}) {
  const response = await request(node, by, 'POST', {
    headers: { accept: 'text/event-stream', ...headers },
    body: { query: eventsDocument },
  });
  if (response.status === 200) {
    await response.body?.cancel();
    return null;
  }
  const body = await response.json();
  return { status: response.status, retryAfter: response.headers.get('retry-after'), ...body.errors[0] };
}

const refusal = (setting: string) => ({
  status: 429,
  retryAfter: '5',
  message: expect.stringContaining(setting),
  extensions: { code: 'RATE_LIMITED' },
});

test('the number of a session’s streams is limited, and each that closes makes room', async () => {
  await using server = await startServer({ env: { MAX_STREAMS_PER_SESSION: '3' } });
  const [ada, grace] = [await signUp(server, 'ada'), await signUp(server, 'grace')];
  const streams = [await followEvents(server, ada), await followEvents(server, ada)];
  // A reserved stream also counts once it is open.
  const token = await reserve(server, ada);
  streams.push(await openReserved(server, ada, token));
  expect(await refusalOf(server, ada)).toEqual(refusal('the limit is 3 (MAX_STREAMS_PER_SESSION)'));
  await expect(openReserved(server, ada, await reserve(server, ada))).rejects.toThrow('MAX_STREAMS_PER_SESSION');
  // The limit counts per session, so another user can still open a stream, and so can another device of the same user.
  await using other = await followEvents(server, grace);
  const { signIn } = await server.ask(
    'mutation ($input: SignInInput!) { signIn(input: $input) { ... on SignedIn { accessToken } } }',
    { input: { email: ada.email, password: ada.password } },
  );
  await using device = await followEvents(server, { token: signIn.accessToken });
  expect([other.end, device.end]).toEqual([null, null]);

  for (const stream of [...streams]) {
    await stream.close();
    streams.shift();
    await vi.waitFor(async () => streams.push(await followEvents(server, ada)));
    expect(await refusalOf(server, ada)).toEqual(refusal('MAX_STREAMS_PER_SESSION'));
  }
  await closeAll(streams);
});

test('the number of a session’s reservations has the same limit', async () => {
  await using server = await startServer({ env: { MAX_STREAMS_PER_SESSION: '2' } });
  const ada = await signUp(server, 'ada');
  await reserve(server, ada);
  const token = await reserve(server, ada);
  const response = await request(server, ada, 'PUT');
  expect([response.status, response.headers.get('retry-after')]).toEqual([429, '5']);
  expect((await response.json()).errors[0]).toMatchObject({
    message: expect.stringContaining('MAX_STREAMS_PER_SESSION'),
  });
  const stream = await openReserved(server, ada, token);
  expect((await request(server, ada, 'PUT')).status).toBe(429);
  await stream.close();
  await vi.waitFor(async () => expect((await request(server, ada, 'PUT')).status).toBe(201));
  // Reservations that were never opened no longer count.
  await server.sql.query(`update stream_reservations set created_at = now() - interval '61 seconds'`);
  expect((await request(server, ada, 'PUT')).status).toBe(201);
});

test('a query that has completed releases its slot', async () => {
  await using server = await startServer({ env: { MAX_STREAMS_PER_SESSION: '1', MAX_STREAMS_PER_ADDRESS: '1' } });
  const ada = await signUp(server, 'ada');
  for (let round = 0; round < 5; round += 1) {
    await vi.waitFor(async () => {
      await using answer = await openStream(server, ada, '{ __typename }');
      expect((await answer.ended()).map(({ event }) => event)).toEqual(['next', 'complete']);
    });
  }
});

test('the number of an address’s streams is limited, however many users open them', async () => {
  await using server = await startServer({ env: { MAX_STREAMS_PER_ADDRESS: '2' } });
  const [ada, grace] = [await signUp(server, 'ada'), await signUp(server, 'grace')];
  const streams = [await followEvents(server, ada), await followEvents(server, grace)];
  // An address that the client claims counts only behind a trusted proxy.
  for (const headers of [{}, { 'x-forwarded-for': '192.0.2.1' }]) {
    expect(await refusalOf(server, ada, headers)).toEqual(refusal('the limit is 2 (MAX_STREAMS_PER_ADDRESS)'));
  }
  const token = await reserve(server, ada);
  await expect(openReserved(server, ada, token)).rejects.toThrow('MAX_STREAMS_PER_ADDRESS');
  await streams[0]?.close();
  await vi.waitFor(async () => expect(await refusalOf(server, grace)).toBe(null));
  await closeAll(streams);
});

test('behind a proxy the address is the one that the proxy reports', async () => {
  await using server = await startServer({ env: { MAX_STREAMS_PER_ADDRESS: '1', TRUST_PROXY: '1' } });
  const ada = await signUp(server, 'ada');
  const from = (address: string) => ({ 'x-forwarded-for': address });
  await using first = await followEvents(server, ada, { headers: from('198.51.100.7, 192.0.2.1') });
  expect(await refusalOf(server, ada, from('203.0.113.9, 192.0.2.1'))).toEqual(refusal('MAX_STREAMS_PER_ADDRESS'));
  await using second = await followEvents(server, ada, { headers: from('192.0.2.1, 192.0.2.2') });
  await using third = await followEvents(server, ada, { headers: from('2001:db8:0:1::5') });
  expect(await refusalOf(server, ada, from('2001:db8:0:1:ffff::1'))).toEqual(refusal('MAX_STREAMS_PER_ADDRESS'));
  expect([first.end, second.end, third.end]).toEqual([null, null, null]);
});

test('an address is the same however it is written', () => {
  const told = (address: string) =>
    addressOf({ headers: { 'x-forwarded-for': address }, socket: {} } as unknown as IncomingMessage, 1);
  const same = [
    ['192.0.2.1', '192.0.2.1:4711', '::ffff:192.0.2.1', '::FFFF:192.0.2.1'],
    ['2001:db8::1', '2001:db8::2', '2001:db8:0:0:5:6:7:8', '[2001:DB8::9]:443', '2001:0db8:0000::'],
    ['2001:db8:1:2::', '2001:db8:1:2:3:4:5:6', '2001:db8:1:2:ffff::1'],
    ['::1', '::2'],
    ['unknown', 'unknown'],
  ];
  const networks = same.map((addresses) => new Set(addresses.map(told)));
  expect(networks.map(({ size }) => size)).toEqual(same.map(() => 1));
  expect(new Set(networks.flatMap((each) => [...each])).size).toBe(same.length);
});

test('however many requests compete, on two nodes, no slot is given out twice', async () => {
  const env = { JWT_KEYS: generateKeySet(), MAX_STREAMS_PER_SESSION: '3', MAX_OPERATIONS_PER_STREAM: '2', ...racing };
  await using server = await startServer({ env });
  await using other = await startServer({ env, database: server.database });
  const ada = await signUp(server, 'ada');
  const many = Array.from({ length: 24 }, (_, index) => ({
    node: index % 2 === 0 ? server : other,
    id: String(index),
  }));
  /** Sends all requests. At least four of them wait for a locked row, so that they continue at the same moment. */
  const askAll = async (held: string, ask: (one: (typeof many)[number]) => Promise<Response>) => {
    const holder = await server.sql.connect();
    await holder.query(`begin; select from ${held} for update`);
    const asked = Promise.all(many.map(ask));
    const countWaiting = async () => (await server.sql.query('select from pg_locks where not granted')).rowCount;
    await expect.poll(countWaiting, { timeout: 10_000 }).toBeGreaterThan(3);
    await holder.query('commit');
    holder.release();
    return asked;
  };
  const reserved = await askAll('sessions', ({ node }) => request(node, ada, 'PUT'));
  expect(reserved.filter(({ status }) => status === 201)).toHaveLength(3);
  expect(reserved.filter(({ status }) => status === 429)).toHaveLength(21);
  const token = (await reserved.find(({ status }) => status === 201)?.text()) ?? '';
  const operation = (id: string) => ({ id, query: eventsDocument });
  const given = await askAll('stream_reservations', ({ node, id }) => give(node, ada, token, operation(id)));
  expect(given.filter(({ status }) => status === 202)).toHaveLength(2);
  expect(given.filter(({ status }) => status === 429)).toHaveLength(22);
});

test('the number of a stream’s concurrent operations is limited', async () => {
  await using server = await startServer({ env: { MAX_OPERATIONS_PER_STREAM: '2' } });
  const ada = await signUp(server, 'ada');
  const token = await reserve(server, ada);
  await using stream = await openReserved(server, ada, token);
  for (const id of ['1', '2']) expect((await give(server, ada, token, { id, query: eventsDocument })).status).toBe(202);
  const refused = await give(server, ada, token, { id: '3', query: '{ __typename }' });
  expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '5']);
  expect(await refused.text()).toContain('MAX_OPERATIONS_PER_STREAM');
  await request(server, ada, 'DELETE', { search: `?token=${token}&operationId=1` });
  expect((await give(server, ada, token, { id: '3', query: '{ __typename }' })).status).toBe(202);
  await stream.next(completed('3'));
  expect((await give(server, ada, token, { id: '4', query: '{ __typename }' })).status).toBe(202);
});

test.for([
  ['MAX_REPLAY_EVENTS', '5'],
  ['MAX_REPLAY_BYTES', '5000'],
])('past %s, a replay becomes a Reset that says so, and the stream goes on', async ([setting = '', limit = '']) => {
  await using server = await startServer({ env: { [setting]: limit } });
  const [ada, grace] = [await signUp(server, 'ada'), await signUp(server, 'grace')];
  const chatId = await createGroup(ada, [grace]);
  const after = (await ada.ask('{ viewer { eventCursor } }')).viewer.eventCursor;
  // The text has few characters, but each character takes three bytes, so an event has nearly 1,000 bytes.
  const say = () => insertMessage(server, chatId, grace, '語'.repeat(250));
  const read = async () => {
    await using stream = await openStream(server, ada, eventsDocument, { variables: { after } });
    return (await stream.until('CaughtUp')).map((frame) => eventOf(frame));
  };
  for (let count = 0; count < 4; count += 1) await say();
  expect((await read()).map(({ __typename: kind }) => kind)).toEqual([
    ...Array.from({ length: 4 }, () => 'NewMessage'),
    'CaughtUp',
  ]);
  await say();
  await say();
  const [reset, caughtUp] = await read();
  expect(reset).toEqual({ __typename: 'Reset', reason: expect.stringContaining(`${setting} is ${limit}`) });
  expect(caughtUp).toEqual({ __typename: 'CaughtUp', replayed: 0 });

  await using stream = await openStream(server, ada, eventsDocument, { variables: { after } });
  const place = envelopeOf(await stream.next('Reset')).cursor;
  expect((await stream.next('CaughtUp')).id).toBe(place);
  await say();
  await stream.next('NewMessage');
  await using resumed = await openStream(server, ada, eventsDocument, { variables: { after: place } });
  expect((await resumed.until('CaughtUp')).map((frame) => eventOf(frame).__typename)).toEqual([
    'NewMessage',
    'CaughtUp',
  ]);
});
