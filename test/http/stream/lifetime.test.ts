import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { decodeJwt, SignJWT } from 'jose';
import { expect, onTestFinished, test } from 'vitest';
import { generateKeySet, parseKeySet } from '../../../src/account/token-key.ts';
import { createGroup, say } from '../../support/chat.ts';
import { signUp, type Person } from '../../support/client.ts';
import { startServer } from '../../support/server.ts';
import { envelopeOf, eventOf, eventsDocument, followEvents, openStream } from '../../support/stream.ts';

const keys = generateKeySet();
const { signing } = parseKeySet(keys);
const server = await startServer({
  env: { JWT_KEYS: keys, MAX_STREAMS_PER_SESSION: '2' },
  overrides: { streamTimes: { sweep: 20, heartbeat: 60, cursorRefresh: 150 } },
});
const ada = await signUp(server, 'ada');

/** Each test signs up a new user, because open streams are counted per session. */
let count = 0;
const newPerson = () => signUp(server, `person-${(count += 1)}`);

/** Returns the same user with an access token that expires in `seconds`. */
async function withTokenFor(person: Person, seconds: number): Promise<{ token: string }> {
  const claims = { ...decodeJwt(person.token), exp: Math.ceil(Date.now() / 1_000) + seconds };
  const token = await new SignJWT(claims)
    .setProtectedHeader({ alg: 'EdDSA', kid: signing.kid, typ: 'JWT' })
    .sign(signing.key);
  return { token };
}

const statusOf = async (person: { token: string }, target: { url: string } = server) => {
  const response = await fetch(`${target.url}/graphql`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'text/event-stream',
      authorization: `Bearer ${person.token}`,
    },
    body: JSON.stringify({ query: eventsDocument }),
  });
  await response.body?.cancel();
  return response.status;
};

/** Opens a socket to the server, and closes it when the test is over. */
async function openSocket(target: { url: string } = server): Promise<Socket> {
  const { hostname, port } = new URL(target.url);
  const socket = connect(Number(port), hostname).setEncoding('utf8');
  socket.on('error', () => {});
  onTestFinished(() => void socket.destroy());
  await once(socket, 'connect');
  return socket;
}

function requestText(person: { token: string }, version: string, body: string): string {
  return [
    `POST /graphql ${version}`,
    'host: localhost',
    'content-type: application/json',
    'accept: text/event-stream',
    `authorization: Bearer ${person.token}`,
    `content-length: ${Buffer.byteLength(body)}`,
    '',
    body,
  ].join('\r\n');
}

const getLine = `GET /graphql?${new URLSearchParams({ query: eventsDocument })} HTTP/1.1`;

/**
 * Returns how many session lookups are waiting for the table. Presence also writes to this table, and its writes may
 * also wait.
 */
const countWaiting = async () => {
  const { rowCount } = await server.sql.query(
    `select from pg_stat_activity where datname = current_database() and wait_event = 'relation'
      and query like 'select id, user_id as "userId"%from sessions%'`,
  );
  return rowCount;
};

test('a quiet stream is kept alive by heartbeats', async () => {
  await using stream = await followEvents(server, await newPerson());
  await stream.comments(5);
  expect(stream.text).toMatch(/^:\n\n:\nretry: \d+\n\n(:\n\n|id: .*\nevent: next\ndata: .*\n\n)+$/);
});

test('each stream gives its EventSource a different reconnection time', async () => {
  const person = await newPerson();
  const retries = new Set<number>();
  for (let n = 0; n < 3; n += 1) {
    await using stream = await followEvents(server, person);
    retries.add(Number(/^retry: (\d+)$/m.exec(stream.text)?.[1]));
  }
  expect(retries.size).toBeGreaterThan(1);
  expect(Math.min(...retries)).toBeGreaterThanOrEqual(1_000);
  expect(Math.max(...retries)).toBeLessThanOrEqual(5_000);
});

test('a quiet stream receives its position at intervals, so that its cursor stays fresh', async () => {
  const quiet = await newPerson();
  await using stream = await followEvents(server, quiet);
  await createGroup(ada, [await newPerson()], 'not theirs');
  const { eventCursor } = (await quiet.ask('{ viewer { eventCursor } }')).viewer;
  const frame = await stream.next(({ id }) => id === eventCursor);
  expect(envelopeOf(frame)).toMatchObject({ cursor: eventCursor, event: { __typename: 'CaughtUp', replayed: 0 } });
  const again = await stream.next('CaughtUp');
  expect(again.id).toBe(eventCursor);
});

test('a client that disconnects releases its slot', async () => {
  const grace = await newPerson();
  const streams = [await followEvents(server, grace), await followEvents(server, grace)];
  const refused = await fetch(`${server.url}/graphql/stream`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${grace.token}` },
    body: JSON.stringify({ query: eventsDocument }),
  });
  expect(refused.status).toBe(429);
  expect(refused.headers.get('retry-after')).toMatch(/^[1-9][0-9]*$/);
  expect(await refused.json()).toMatchObject({
    errors: [{ message: expect.stringContaining('MAX_STREAMS_PER_SESSION'), extensions: { code: 'RATE_LIMITED' } }],
  });
  expect(await statusOf(await newPerson())).toBe(200);
  await Promise.all(streams.map((stream) => stream.close()));
  await expect.poll(() => statusOf(grace), { timeout: 10_000 }).toBe(200);
});

test.each(['POST', 'GET'])(
  'a client that disconnects before its stream by %s has begun releases its slot',
  async (method) => {
    const grace = await newPerson();
    const request =
      method === 'POST'
        ? requestText(grace, 'HTTP/1.1', JSON.stringify({ query: eventsDocument }))
        : requestText(grace, 'HTTP/1.1', '').replace(/^.*\r\n/, () => `${getLine}\r\n`);
    const holder = await server.sql.connect();
    // While the session cannot be looked up, the server gives no answer.
    await holder.query('begin; lock table sessions in access exclusive mode');
    const sockets = await Promise.all([openSocket(), openSocket()]);
    for (const socket of sockets) socket.write(request);
    await expect.poll(countWaiting, { timeout: 10_000 }).toBe(1);
    await Promise.all(sockets.map((socket) => once(socket.resetAndDestroy(), 'close')));
    await holder.query('commit');
    holder.release();
    await using first = await followEvents(server, grace);
    await using second = await followEvents(server, grace);
    expect([first.end, second.end]).toEqual([null, null]);
  },
);

test('a client that aborts its request causes no server error', async () => {
  const socket = await openSocket();
  socket.write(requestText(ada, 'HTTP/1.1', '{"query":"{ __typename }"}').slice(0, -5));
  socket.resetAndDestroy();
  await once(socket, 'close');
  await using stream = await followEvents(server, await newPerson());
  await stream.comments(4);
  expect(server.log.filter(({ level }) => level === 'error')).toEqual([]);
});

test('an HTTP/1.0 client gets the stream without chunked encoding', async () => {
  const grace = await newPerson();
  const chat = await createGroup(ada, [grace]);
  const socket = await openSocket();
  socket.write(requestText(grace, 'HTTP/1.0', JSON.stringify({ query: eventsDocument })));
  let text = '';
  for await (const piece of socket) {
    text += piece;
    if (text.endsWith('\n\n') && text.includes('CaughtUp') && !text.includes('hello')) await say(ada, chat, 'hello');
    if (text.includes('hello')) break;
  }
  const [head, ...body] = text.split('\r\n\r\n');
  expect(head).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
  expect(head).not.toMatch(/transfer-encoding/i);
  expect(head).toMatch(/\r\nconnection: close/i);
  expect(body.join('\r\n\r\n')).toMatch(/^:\n\n:\nretry: \d+\n\n(:\n\n|id: .*\nevent: next\ndata: .*\n\n)+$/);
});

test('a connection can be used again after a stream that has ended', async () => {
  const socket = await openSocket();
  const request = requestText(ada, 'HTTP/1.1', JSON.stringify({ query: '{ __typename }' }));
  for (let round = 0; round < 15; round += 1) {
    socket.write(request);
    let text = '';
    while (!text.endsWith('0\r\n\r\n')) [text] = [text + String((await once(socket, 'data'))[0])];
    expect(text).toContain('data: {"data":{"__typename":"Query"}}\n\nevent: complete\ndata:\n\n');
  }
  expect(socket.destroyed).toBe(false);
});

test('a stream ends when the access token that opened it expires, so that its client reconnects with another', async () => {
  const grace = await newPerson();
  const brief = await withTokenFor(grace, 1);
  await using stream = await followEvents(server, brief);
  const rest = await stream.ended();
  expect(rest.every((frame) => eventOf(frame)?.__typename === 'CaughtUp')).toBe(true);
  expect(stream.text).not.toContain('event: complete');
  await expect.poll(() => statusOf(brief), { timeout: 10_000 }).toBe(401);
  expect(await statusOf(grace)).toBe(200);
});

test('a server that stops ends its streams without complete, within moments, and closes idle connections', async () => {
  const going = await startServer({ database: server.database, env: { JWT_KEYS: keys } });
  const chat = await createGroup(ada, [await newPerson()]);
  const streams = await Promise.all(Array.from({ length: 10 }, () => openStream(going, ada, eventsDocument)));
  await Promise.all(streams.map((stream) => stream.next('CaughtUp')));
  const idle = await openSocket(going);
  await say(ada, chat, 'the last words');
  const startedAt = performance.now();
  const closed = going.close();
  await Promise.all([closed, once(idle, 'close'), ...streams.map((stream) => stream.ended())]);
  expect(performance.now() - startedAt).toBeLessThan(4_000);
  for (const stream of streams) expect(stream.text).not.toContain('event: complete');
});

test('a node that has announced its stop answers whatever reaches it on a connection from before', async () => {
  const going = await startServer({ database: server.database, env: { JWT_KEYS: keys, STOP_DELAY: '1s' } });
  const stream = await openSocket(going);
  let streamed = '';
  stream.on('data', (text: string) => void (streamed += text));
  stream.write(requestText(ada, 'HTTP/1.1', JSON.stringify({ query: eventsDocument })));
  await expect.poll(() => streamed).toContain('HTTP/1.1 200');
  const [early, late] = [await openSocket(going), await openSocket(going)];
  const closed = going.close();
  const read = 'GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n';
  // The server still listens and keeps connections open, so that no client has to open a new one.
  early.write(read);
  expect((await once(early, 'data'))[0]).toMatch(/^HTTP\/1\.1 200 [^]*\r\nconnection: keep-alive\r\n/i);
  // Once the streams have ended, the server refuses new connections. On an existing connection, even on the connection
  // of a stream, a proxy may already be sending a request.
  await expect.poll(() => streamed, { timeout: 5_000 }).toMatch(/\r\n0\r\n\r\n$/);
  await expect(fetch(going.url)).rejects.toThrow('fetch failed');
  stream.removeAllListeners('data');
  for (const socket of [early, late, stream]) {
    socket.write(read);
    expect((await once(socket, 'data'))[0]).toMatch(/^HTTP\/1\.1 200 [^]*\r\nconnection: close\r\n/i);
  }
  await closed;
});

test('a stream that is requested while the server stops ends at once, so that its client reconnects elsewhere', async () => {
  const going = await startServer({ database: server.database, env: { JWT_KEYS: keys } });
  const grace = await newPerson();
  const holder = await server.sql.connect();
  await holder.query('begin; lock table sessions in access exclusive mode');
  const asked = openStream(going, grace, eventsDocument);
  await expect.poll(countWaiting, { timeout: 10_000 }).toBe(1);
  const startedAt = performance.now();
  const closed = going.close();
  await holder.query('commit');
  holder.release();
  const stream = await asked;
  await stream.ended();
  expect(stream.text).not.toContain('event: complete');
  await closed;
  expect(performance.now() - startedAt).toBeLessThan(4_000);
});
