import { GraphQLUnionType } from 'graphql';
import { beforeAll, expect, test } from 'vitest';
import { schema } from '../../../src/edges.ts';
import { chatEventsDocument, eventsDocument } from '../../../src/http/rest/event-document.ts';
import { createGroup, createPublicChannel, say } from '../../support/chat.ts';
import { signUpAll, type Person } from '../../support/client.ts';
import { call } from '../../support/rest.ts';
import { startServer, type TestServer } from '../../support/server.ts';
import { sharedServer } from '../../support/shared-server.ts';
import { EventStream, type Frame } from '../../support/stream.ts';

let server: TestServer;
let ada: Person;
let grace: Person;
let chatId: string;

beforeAll(async () => {
  server = await sharedServer();
  [ada, grace] = await signUpAll(server, 'ada', 'grace');
  chatId = await createGroup(ada, [grace], 'Crew');
});

/** Opens `/api/events` as curl would. */
async function open(by: Person | null, query = '', headers: Record<string, string> = {}): Promise<EventStream> {
  const abort = new AbortController();
  const response = await fetch(`${server.url}/api/events${query}`, {
    headers: { ...(by !== null && { authorization: `Bearer ${by.token}` }), ...headers },
    signal: abort.signal,
  });
  if (response.status !== 200) throw new Error(await response.text());
  return new EventStream(response, abort);
}

const named = (name: string) => Object.assign(({ event }: Frame) => event === name, { toString: () => name });

test('the events of a user arrive by name, with a cursor and the event itself as JSON', async () => {
  await using stream = await open(grace);
  expect(stream.response.headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
  expect(await stream.next()).toMatchObject({ event: 'CaughtUp', data: { type: 'CaughtUp', replayed: 0 } });
  const messageId = await say(ada, chatId, 'hello');
  expect(await stream.next()).toEqual({
    id: expect.stringMatching(/^[0-9a-f]+\.\d+$/),
    event: 'NewMessage',
    data: {
      type: 'NewMessage',
      at: expect.stringMatching(/^\d{4}-.*Z$/),
      message: expect.objectContaining({
        id: messageId,
        chat: { id: chatId },
        content: 'hello',
        sender: { id: ada.userId, key: null, username: 'ada', displayName: null },
      }),
    },
  });
});

test('a client that reconnects receives what it missed, by Last-Event-ID or by after', async () => {
  const stream = await open(grace);
  await say(ada, chatId, 'one');
  await stream.next(named('NewMessage'));
  await stream.close();
  await say(ada, chatId, 'two');
  const { cursor } = stream;
  for (const [query, headers] of [
    ['', { 'last-event-id': String(cursor) }],
    [`?after=${cursor}`, {}],
  ] as const) {
    await using resumed = await open(grace, query, headers);
    const missed = await resumed.until(named('CaughtUp'));
    expect(missed.map(({ event, data }) => [event, data.message?.content ?? data.replayed])).toEqual([
      ['NewMessage', 'two'],
      ['CaughtUp', 1],
    ]);
  }
});

test('the events of one chat, which may be a public channel that the asker only reads', async () => {
  const channel = await createPublicChannel(ada, 'News');
  await using stream = await open(grace, `?chatId=${channel}`);
  await stream.next(named('CaughtUp'));
  await say(ada, chatId, 'elsewhere');
  await say(ada, channel, 'here');
  expect((await stream.next()).data).toMatchObject({ type: 'NewMessage', message: { content: 'here' } });
});

test('a browser opens it with a stream token, which is valid for nothing else', async () => {
  const { streamToken } = (await call(server, 'POST /api/me/stream-token', { by: grace })).body;
  await using stream = await open(null, `?streamToken=${streamToken}`);
  await stream.next(named('CaughtUp'));
  expect((await call(server, `GET /api/chats?streamToken=${streamToken}`)).status).toBe(400);
  expect((await call(server, 'GET /api/chats', { by: { token: streamToken } })).status).toBe(401);
});

test('when a session ends, its stream closes with a problem, and cannot be opened again', async () => {
  const credentials = { email: grace.email, password: grace.password };
  const { body: phone } = await call(server, 'POST /api/signin', { body: credentials });
  await using stream = await open({ ...grace, token: phone.token });
  await stream.next(named('CaughtUp'));
  await call(server, 'POST /api/signout', { by: phone });
  const frames = await stream.ended();
  expect(frames).toMatchObject([{ id: null, event: 'problem', data: { status: 401, code: 'UNAUTHENTICATED' } }]);
  await expect(open({ ...grace, token: phone.token })).rejects.toThrow('UNAUTHENTICATED');
});

test('a user who is removed from a chat loses its stream', async () => {
  const id = await createGroup(ada, [grace], 'Brief');
  await using stream = await open(grace, `?chatId=${id}`);
  await stream.next(named('CaughtUp'));
  await call(server, `DELETE /api/chats/${id}/members/${grace.userId}`, { by: ada });
  const frames = await stream.ended();
  expect(frames.at(-1)).toMatchObject({ event: 'problem', data: { status: 404, code: 'NOT_FOUND' } });
});

test.each([
  ['GET /api/events', 'no token', null, 401],
  ['GET /api/events?after=x', 'no cursor of this server', 'ada', 400],
  ['GET /api/events?chatId=x', 'no id', 'ada', 400],
  ['GET /api/events?chatId=Q2hhdDo5OTk', 'a chat that does not exist', 'ada', 404],
  ['GET /api/events?limit=1', 'an unknown parameter', 'ada', 400],
  ['GET /api/events?after=a&after=b', 'a parameter twice', 'ada', 400],
  ['POST /api/events', 'another method', 'ada', 405],
])('%s is refused before the stream opens: %s', async (request, _, name, status) => {
  const answer = await call(server, request, { by: name === null ? null : ada });
  expect(answer).toMatchObject({ status, body: { status } });
  expect(answer.headers.get('content-type')).toBe('application/problem+json; charset=utf-8');
});

test('a client that accepts no event stream is refused', async () => {
  const answer = await call(server, 'GET /api/events', { by: ada, headers: { accept: 'application/json' } });
  expect(answer.status).toBe(406);
});

test('a stream over the limit gets 429 with the time to wait', async () => {
  await using other = await startServer({ env: { MAX_STREAMS_PER_SESSION: '1' } });
  const [joan] = await signUpAll(other, 'joan');
  const abort = new AbortController();
  const headers = { authorization: `Bearer ${joan.token}` };
  const first = await fetch(`${other.url}/api/events`, { headers, signal: abort.signal });
  expect(first.status).toBe(200);
  const answer = await call(other, 'GET /api/events', { by: joan });
  expect(answer).toMatchObject({ status: 429, body: { code: 'RATE_LIMITED', retryAfterSeconds: 5 } });
  expect(answer.headers.get('retry-after')).toBe('5');
  abort.abort();
});

test('every kind of event is selected, except presence', () => {
  // The document does not select PresenceChanged, because that would be a request for presence.
  const types = schema.getType('Event');
  const names = types instanceof GraphQLUnionType ? types.getTypes().map(({ name }) => name) : [];
  expect(names.filter((name) => !eventsDocument.includes(`... on ${name} `))).toEqual(['PresenceChanged']);
  expect(chatEventsDocument).toContain('... on NewMessage ');
});
