import { decodeJwt, SignJWT } from 'jose';
import { beforeAll, expect, test } from 'vitest';
import { generateKeySet, parseKeySet } from '../../../src/account/token-key.ts';
import { createGroup, insertMessage } from '../../support/chat.ts';
import { signUp, type Data, type Person } from '../../support/client.ts';
import { openEventSource, type Told } from '../../support/event-source.ts';
import { openProxy } from '../../support/proxy.ts';
import { startServer, type TestServer } from '../../support/server.ts';
import { reserve } from '../../support/single.ts';
import { envelopeOf, EventStream, eventOf, eventsDocument, followEvents, openStream } from '../../support/stream.ts';

const keys = generateKeySet();
const { signing } = parseKeySet(keys);

let server: TestServer;
let ada: Person;
let grace: Person;
let chatId: string;
beforeAll(async () => {
  server = await startServer({ env: { JWT_KEYS: keys }, overrides: { streamTimes: { sweep: 20, tokenCheck: 50 } } });
  [ada, grace] = await Promise.all([signUp(server, 'ada'), signUp(server, 'grace')]);
  chatId = await createGroup(ada, [grace]);
});

const query =
  'subscription ($after: String) { events(after: $after) { cursor event { __typename ... on NewMessage { message { content } } } } }';
const graceSays = (content: string) => insertMessage(server, chatId, grace, content);

async function issueToken(by: { token: string }): Promise<string> {
  return (await server.ask('mutation { streamToken }', {}, by.token)).streamToken;
}

function urlFor(node: { url: string }, params: Record<string, string>, path = '/graphql/stream'): string {
  return `${node.url}${path}?${new URLSearchParams(params)}`;
}

const accept = 'text/event-stream';
const statusOf = async (url: string, init: RequestInit = {}): Promise<number> => {
  const response = await fetch(url, { ...init, headers: { accept, ...init.headers } });
  await response.body?.cancel();
  return response.status;
};

async function openByUrl(url: string, headers: Record<string, string> = {}): Promise<EventStream> {
  const abort = new AbortController();
  return new EventStream(await fetch(url, { headers: { accept, ...headers }, signal: abort.signal }), abort);
}

const happeningsOf = (told: Told[]): Data[] => told.map(({ data }) => data.data.events.event);
const contentsOf = (told: Told[]) => happeningsOf(told).flatMap(({ message }) => message?.content ?? []);

test('an EventSource needs only a URL', async () => {
  const source = openEventSource(urlFor(server, { query, streamToken: await issueToken(ada) }));
  await source.has('next', 1);
  await graceSays('hello');
  const told = await source.has('next', 2);
  expect(happeningsOf(told)).toEqual([
    { __typename: 'CaughtUp' },
    { __typename: 'NewMessage', message: { content: 'hello' } },
  ]);
  for (const { lastEventId, data } of told) expect(lastEventId).toBe(data.data.events.cursor);
  expect(source.told.filter(({ type }) => type !== 'next')).toMatchObject([{ type: 'open' }]);
});

test('an EventSource misses nothing when its connection breaks, even if its URL names an older cursor', async () => {
  const proxy = await openProxy(server.url);
  const after = (await ada.ask('{ viewer { eventCursor } }')).viewer.eventCursor;
  await graceSays('0');
  const params = { query, streamToken: await issueToken(ada), variables: JSON.stringify({ after }) };
  const source = openEventSource(urlFor({ url: proxy.through(server.url) }, params));
  await source.has('next', 2);
  const contents = ['0'];
  for (const round of [1, 2]) {
    await graceSays(`live ${round}`);
    await source.has('next', 4 * round - 1);
    proxy.cut();
    await graceSays(`missed ${round}`);
    await graceSays(`missed too ${round}`);
    contents.push(`live ${round}`, `missed ${round}`, `missed too ${round}`);
    const told = await source.has('next', 4 * round + 2);
    expect(contentsOf(told)).toEqual(contents);
  }
});

test('Last-Event-ID replaces `after`, however the stream is opened', async () => {
  const cursorNow = async () => (await ada.ask('{ viewer { eventCursor } }')).viewer.eventCursor as string;
  const first = await cursorNow();
  await graceSays('one');
  const second = await cursorNow();
  await graceSays('two');
  const variables = { after: first };
  const url = urlFor(server, { query, variables: JSON.stringify(variables), streamToken: await issueToken(ada) });
  const contents = async (stream: EventStream) =>
    (await stream.until('CaughtUp')).flatMap((frame) => eventOf(frame).message?.content ?? []);
  await using given = await openByUrl(url);
  expect(await contents(given)).toEqual(['one', 'two']);
  await using resumed = await openByUrl(url, { 'last-event-id': second });
  expect(await contents(resumed)).toEqual(['two']);
  await using posted = await openStream(server, ada, eventsDocument, {
    variables,
    headers: { 'last-event-id': second },
  });
  expect(await contents(posted)).toEqual(['two']);
  await using wrong = await openByUrl(url, { 'last-event-id': 'not a cursor' });
  expect((await wrong.ended())[0]?.data.errors[0].extensions.code).toBe('BAD_REQUEST');
});

test('a stream token is valid on /graphql/stream and nowhere else', async () => {
  const streamToken = await issueToken(ada);
  expect(await statusOf(urlFor(server, { query, streamToken }))).toBe(200);
  // Everywhere else, the stream token identifies no user.
  const refusals = await Promise.all([
    openByUrl(urlFor(server, { query, streamToken }, '/graphql')),
    openStream(server, null, query, { path: `/graphql/stream?streamToken=${streamToken}` }),
  ]);
  for (const stream of refusals) {
    const frames = await stream.ended();
    expect(frames[0]?.data.errors[0].extensions.code).toBe('UNAUTHENTICATED');
  }
  const asked = await server.post('{ viewer { id } }', {}, { token: streamToken });
  expect(asked.errors?.[0]?.extensions?.['code']).toBe('UNAUTHENTICATED');
  const url = urlFor(server, { query: '{ viewer { id } }', streamToken }, '/graphql');
  expect(await (await fetch(url, { headers: { accept: 'application/json' } })).json()).toEqual({
    data: { viewer: null },
  });
  for (const method of ['PUT', 'DELETE'])
    expect([401, 404]).toContain(
      await statusOf(urlFor(server, { streamToken }), { method, headers: { accept: '*/*' } }),
    );
});

test('a stream token is valid for subscriptions only', async () => {
  const streamToken = await issueToken(ada);
  expect(await statusOf(urlFor(server, { query: '{ viewer { id } }', streamToken }))).toBe(401);
  expect(await statusOf(urlFor(server, { query: 'mutation { signOut }', streamToken }))).toBe(405);
  const both = `query Look { viewer { id } } ${query.replace('subscription', 'subscription Follow')}`;
  expect(await statusOf(urlFor(server, { query: both, operationName: 'Look', streamToken }))).toBe(401);
  expect(await statusOf(urlFor(server, { query: both, operationName: 'Follow', streamToken }))).toBe(200);
  // The stream token may open a reserved stream, but may not choose the operations of that stream.
  const token = await reserve(server, ada);
  const operation = { token, streamToken, query: '{ viewer { id } }', extensions: '{"operationId":"1"}' };
  expect(await statusOf(urlFor(server, operation), { headers: { accept: 'application/json' } })).toBe(401);
  expect(await statusOf(urlFor(server, { token, streamToken }))).toBe(200);
});

test('an invalid token is refused, and then the EventSource stops', async () => {
  const streamToken = await issueToken(ada);
  const claims = decodeJwt(streamToken);
  const forge = (changed: object, key = signing.key) =>
    new SignJWT({ ...claims, ...changed }).setProtectedHeader({ alg: 'EdDSA', kid: signing.kid, typ: 'JWT' }).sign(key);
  expect(await statusOf(urlFor(server, { query, streamToken: await forge({}) }))).toBe(200);
  const stranger = parseKeySet(generateKeySet()).signing.key;
  const bad = [
    'x',
    `${streamToken}x`,
    'x'.repeat(5_000),
    ada.token,
    await forge({}, stranger),
    await forge({ aud: 'parley' }),
    await forge({ iss: 'other' }),
    await forge({ sid: '999999' }),
    await forge({ sub: 'ada' }),
    await forge({ exp: 1 }),
    await forge({ gen: 1 }),
    await forge({ gen: undefined }),
  ];
  for (const each of bad)
    expect([each, await statusOf(urlFor(server, { query, streamToken: each }))]).toEqual([each, 401]);
  const source = openEventSource(urlFor(server, { query, streamToken: 'x' }));
  const [error] = await source.has('error', 1);
  expect(error?.readyState).toBe(2);
});

test('a stream opened with a stream token lasts as long as the session, and outlives the access token', async () => {
  const exp = Math.ceil(Date.now() / 1_000) + 1;
  const brief = await new SignJWT({ ...decodeJwt(ada.token), exp })
    .setProtectedHeader({ alg: 'EdDSA', kid: signing.kid, typ: 'JWT' })
    .sign(signing.key);
  const streamToken = await issueToken({ token: brief });
  await using lasting = await openByUrl(urlFor(server, { query, streamToken }));
  await lasting.next('CaughtUp');
  // A stream token in the URL does not extend a stream that is authenticated in some other way.
  await using byHead = await followEvents(
    server,
    { token: brief },
    { path: `/graphql/stream?streamToken=${streamToken}` },
  );
  await byHead.ended();
  const { signIn } = await server.ask(
    'mutation ($input: SignInInput!) { signIn(input: $input) { ... on SignedIn { accessToken } } }',
    { input: { email: ada.email, password: ada.password } },
  );
  await expect
    .poll(() => statusOf(urlFor(server, { query }, '/graphql'), { headers: { authorization: `Bearer ${brief}` } }), {
      timeout: 5_000,
    })
    .toBe(401);
  await graceSays('still here');
  expect(eventOf(await lasting.next('NewMessage')).message.content).toBe('still here');

  const device = { token: signIn.accessToken as string };
  const source = openEventSource(urlFor(server, { query, streamToken: await issueToken(device) }));
  await source.has('next', 1);
  await server.ask('mutation { signOut }', {}, device.token);
  await source.has('complete', 1);
  const [, ended] = await source.has('next', 2);
  expect(ended?.data.errors[0].extensions.code).toBe('UNAUTHENTICATED');
  // The EventSource reconnects anyway, and the server refuses it.
  const errors = await source.has('error', 2);
  expect(errors.at(-1)?.readyState).toBe(2);
});

test('a changed password ends earlier stream tokens and their streams, on every node', async () => {
  await using other = await startServer({
    database: server.database,
    env: { JWT_KEYS: keys },
    overrides: { streamTimes: { sweep: 20, tokenCheck: 50 } },
  });
  const radia = await signUp(server, 'radia');
  const streamToken = await issueToken(radia);
  await using here = await openByUrl(urlFor(server, { query, streamToken }));
  await using there = await openByUrl(urlFor(other, { query, streamToken }));
  for (const stream of [here, there]) await stream.next('CaughtUp');
  const { changePassword } = await radia.ask(
    'mutation ($input: ChangePasswordInput!) { changePassword(input: $input) { ... on SignedIn { accessToken } } }',
    { input: { currentPassword: radia.password, newPassword: 'bridges learn slowly' } },
  );
  expect(await statusOf(urlFor(server, { query, streamToken }))).toBe(401);
  // The streams end without `complete`, so an EventSource reconnects, is refused, and gives up.
  for (const stream of [here, there]) expect(await stream.ended()).toEqual([]);
  expect(await statusOf(urlFor(other, { query, streamToken }))).toBe(401);

  const next = await issueToken({ token: changePassword.accessToken });
  for (const node of [server, other]) expect(await statusOf(urlFor(node, { query, streamToken: next }))).toBe(200);
});

test('a stream token is valid for a day after the session was last refreshed, and each refresh renews it', async () => {
  const hedy = await signUp(server, 'hedy');
  const streamToken = await issueToken(hedy);
  const url = urlFor(server, { query, streamToken });
  const refreshedAgo = (interval: string) =>
    server.sql.query(
      `update sessions set last_used_at = now() - $1::interval
      where user_id = (select id from users where username = 'hedy')`,
      [interval],
    );
  await refreshedAgo('23 hours 59 minutes');
  await using stream = await openByUrl(url);
  await stream.next('CaughtUp');
  await refreshedAgo('24 hours');
  expect(await stream.ended()).toEqual([]);
  expect(await statusOf(url)).toBe(401);

  await server.ask('mutation ($token: String!) { refreshSession(refreshToken: $token) { __typename } }', {
    token: hedy.refreshToken,
  });
  expect(await statusOf(url)).toBe(200);
});

test('a stream token is never logged, whatever happens', async () => {
  await using node = await startServer({ env: { LOG_LEVEL: 'trace' } });
  const { url } = node;
  const linus = await signUp(node, 'linus');
  const streamToken = (await linus.ask('mutation { streamToken }')).streamToken as string;
  const address = urlFor({ url }, { query, streamToken });
  const stream = await openByUrl(address);
  expect(envelopeOf(await stream.next('CaughtUp')).cursor).toMatch(/\./);
  await stream.close();
  expect(await statusOf(urlFor({ url }, { query: '{', streamToken }))).toBe(200);
  expect(await statusOf(urlFor({ url }, { query: '{ __typename }', streamToken }))).toBe(401);
  expect(await statusOf(`${address}x`)).toBe(401);
  await node.sql.query('alter table sessions rename to sessions_away');
  await expect.poll(() => statusOf(address), { timeout: 5_000 }).toBe(500);
  const output = JSON.stringify(node.log);
  expect(output).toContain('a request failed');
  const [head = '', claims = '', signature = ''] = streamToken.split('.');
  for (const secret of [claims, signature, 'streamToken', encodeURIComponent(query)])
    expect(output).not.toContain(secret);
  expect(head).not.toBe('');
});
