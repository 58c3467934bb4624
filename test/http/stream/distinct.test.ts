import { beforeAll, describe, expect, test } from 'vitest';
import { createGroup, say } from '../../support/chat.ts';
import { signUp, type Person } from '../../support/client.ts';
import type { TestServer } from '../../support/server.ts';
import { sharedServer } from '../../support/shared-server.ts';
import { eventOf, eventsDocument, followEvents, openStream } from '../../support/stream.ts';

// https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md#distinct-connections-mode

let server: TestServer;
let ada: Person;
let grace: Person;
beforeAll(async () => {
  server = await sharedServer();
  [ada, grace] = await Promise.all([signUp(server, 'ada'), signUp(server, 'grace')]);
});

const sse = 'text/event-stream';
/** The Accept header that urql sends with every request. */
const urqlAccept =
  'application/graphql-response+json, application/graphql+json, application/json, text/event-stream, multipart/mixed';
const complete = 'event: complete\ndata:\n\n';

type Request = { path?: string; method?: string; headers?: Record<string, string>; body?: string };

/** Sends a JSON POST request that accepts a stream, unless the arguments say otherwise. */
function send({ path = '/graphql', headers, ...request }: Request): Promise<Response> {
  return fetch(server.url + path, {
    method: 'POST',
    ...request,
    headers: { 'content-type': 'application/json', accept: sse, ...headers },
  });
}

/** Returns the body, without the random time after `retry:`. */
const textOf = async (request: Request): Promise<string> =>
  (await (await send(request)).text()).replace(/^retry: \d+$/m, 'retry');
const query = (document: string, more: object = {}) => JSON.stringify({ query: document, ...more });
/** Returns the frames of one result and the end of the stream. */
const whole = (result: string) => `:\n\n:\nretry\n\nevent: next\ndata: ${result}\n\n${complete}`;

async function refusalOf(request: Request) {
  const response = await send(request);
  const { errors } = (await response.json()) as { errors: { message: string; extensions: { code: string } }[] };
  expect(response.headers.get('content-type')).toContain('application/json');
  return { status: response.status, code: errors[0]?.extensions.code, headers: response.headers };
}

describe.each(['/graphql', '/graphql/stream'])('on %s', (path) => {
  test('a stream begins immediately, and is never cached, buffered or compressed', async () => {
    await using stream = await openStream(server, ada, eventsDocument, {
      path,
      headers: { 'accept-encoding': 'gzip, br', origin: 'https://chat.example.com' },
    });
    expect(stream.response.status).toBe(200);
    expect(Object.fromEntries(stream.response.headers)).toMatchObject({
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-cache, no-transform',
      'x-accel-buffering': 'no',
      'access-control-allow-origin': '*',
    });
    expect(stream.response.headers.has('content-encoding')).toBe(false);
    await stream.comments(2);
    expect(stream.text).toMatch(/^:\n\n:\nretry: \d+\n\n/);
  });

  test('an event is a frame of three lines, whatever is in it', async () => {
    const chat = await createGroup(ada, [grace]);
    await using stream = await openStream(server, grace, eventsDocument, { path });
    await stream.next('CaughtUp');
    const before = stream.text.length;
    const content = 'one\ntwo\n\nevent: complete\ndata:\n\n\u2028 \u2029 "three" 😀';
    await say(ada, chat, content);
    const frame = await stream.next();
    expect(eventOf(frame)).toMatchObject({ message: { content: content.trim() } });
    expect(stream.text.slice(before)).toMatch(/^id: [0-9a-f]{12}\.[0-9]+\nevent: next\ndata: \{[^\n]*\}\n\n$/);
    expect(stream.text).not.toContain('\r');
  });

  test('a query gets one result, and its stream ends', async () => {
    expect(await textOf({ path, body: query('{ __typename }') })).toBe(whole('{"data":{"__typename":"Query"}}'));
    const asAda = { authorization: `Bearer ${ada.token}` };
    expect(await textOf({ path, headers: asAda, body: query('{ viewer { user { username } } }') })).toBe(
      whole('{"data":{"viewer":{"user":{"username":"ada"}}}}'),
    );
  });

  test('a mutation gets one result, and its stream ends', async () => {
    const chat = await createGroup(ada, [grace]);
    const body = query(
      'mutation ($id: ID!) { sendMessage(input: { chatId: $id, content: "hello" }) { ... on Message { seq } } }',
      { variables: { id: chat } },
    );
    expect(await textOf({ path, headers: { authorization: `Bearer ${ada.token}` }, body })).toBe(
      whole('{"data":{"sendMessage":{"seq":1}}}'),
    );
  });

  test('a subscription can be requested by GET, with everything in the URL', async () => {
    const chat = await createGroup(ada, [grace]);
    const document = `query Other { __typename } subscription Mine($withSeq: Boolean!) {
      events { event { __typename ... on NewMessage { message { content seq @include(if: $withSeq) } } } }
    }`;
    const search = new URLSearchParams({
      query: document,
      operationName: 'Mine',
      variables: '{"withSeq":false}',
      extensions: '{"any":"thing"}',
    });
    const abort = new AbortController();
    const response = await fetch(`${server.url}${path}?${search}`, {
      headers: { accept: sse, authorization: `Bearer ${grace.token}` },
      signal: abort.signal,
    });
    expect(response.status).toBe(200);
    let text = '';
    const decoder = new TextDecoder();
    for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
      text += decoder.decode(chunk);
      if (text.endsWith('"CaughtUp"}}}}\n\n')) await say(ada, chat, 'hello');
      if (text.includes('NewMessage')) break;
    }
    abort.abort();
    expect(text).toContain(
      'data: {"data":{"events":{"event":{"__typename":"NewMessage","message":{"content":"hello"}}}}}\n\n',
    );
  });

  test('a mutation by GET is refused with a message that says what to do instead, and not executed', async () => {
    const chat = await createGroup(ada, [grace]);
    const document = `mutation { sendMessage(input: { chatId: "${chat}", content: "hello" }) { __typename } }`;
    const refusal = await refusalOf({
      path: `${path}?${new URLSearchParams({ query: document })}`,
      method: 'GET',
      headers: { authorization: `Bearer ${ada.token}` },
    });
    expect(refusal).toMatchObject({ status: 405, code: 'BAD_REQUEST' });
    expect(refusal.headers.get('allow')).toBe('POST');
    const { lastSeq } = (await ada.ask('query ($id: ID!) { chat(id: $id) { lastSeq } }', { id: chat })).chat;
    expect(lastSeq).toBe(0);
  });

  test('an invalid document gets its errors on the stream, which ends for good', async () => {
    const bad = [
      query('{ nothing }'),
      query('not graphql'),
      query('subscription { events { cursor } more: events { cursor } }'),
      query('{ __typename } { __typename }'),
      query('query A { __typename } query B { __typename }'),
      query('query A { __typename }', { operationName: 'B' }),
      query('subscription ($after: String!) { events(after: $after) { cursor } }'),
      query('subscription ($after: String) { events(after: $after) { cursor } }', { variables: { after: 7 } }),
      query(`{ ${'__typename '.repeat(3_000)} }`),
    ];
    for (const body of bad) {
      const response = await send({ path, headers: { authorization: `Bearer ${ada.token}` }, body });
      expect(response.status).toBe(200);
      const [, result] =
        /^:\n\n:\nretry: \d+\n\nevent: next\ndata: (.*)\n\nevent: complete\ndata:\n\n$/.exec(await response.text()) ??
        [];
      const { data, errors } = JSON.parse(result ?? 'null');
      expect(data ?? null).toBeNull();
      expect(errors.length).toBeGreaterThan(0);
      for (const { extensions } of errors) expect(extensions).toEqual({ code: 'BAD_REQUEST' });
    }
  });

  test('a subscription without a token gets an error that says it needs one, and ends for good', async () => {
    const text = await textOf({ path, body: query(eventsDocument) });
    expect(text.endsWith(complete)).toBe(true);
    expect(text).toMatch(
      /^:\n\n:\nretry\n\nevent: next\ndata: \{.*"code":"UNAUTHENTICATED".*\}\n\nevent: complete\ndata:\n\n$/,
    );
  });

  test('a stream with an invalid token is refused before it opens, so that its client reconnects with another', async () => {
    for (const token of ['nonsense', `${ada.token}x`, '']) {
      const headers = { authorization: `Bearer ${token}` };
      expect(await refusalOf({ path, headers, body: query(eventsDocument) })).toMatchObject({
        status: 401,
        code: 'UNAUTHENTICATED',
      });
    }
  });

  test('a query with an invalid token gets an error in its result, unless it needs no user', async () => {
    const headers = { authorization: 'Bearer nonsense' };
    expect(await textOf({ path, headers, body: query('{ __typename }') })).toBe(
      whole('{"data":{"__typename":"Query"}}'),
    );
    expect(await textOf({ path, headers, body: query('{ viewer { id } }') })).toContain('"code":"UNAUTHENTICATED"');
  });

  test('a body of another type is refused', async () => {
    for (const type of [
      'text/plain',
      'application/x-www-form-urlencoded',
      'multipart/form-data; boundary=x',
      'application/jsonx',
    ]) {
      const refusal = await refusalOf({ path, headers: { 'content-type': type }, body: query('{ __typename }') });
      expect(refusal).toMatchObject({ status: 415, code: 'BAD_REQUEST' });
    }
    const utf8 = { 'content-type': 'application/json; charset=utf-8' };
    expect(await textOf({ path, headers: utf8, body: query('{ __typename }') })).toContain('"Query"');
  });

  test('a body that is not a request is refused', async () => {
    const bodies = [
      '',
      '{',
      'null',
      '[]',
      '"{ __typename }"',
      '{}',
      '{"query":""}',
      '{"query":7}',
      query('{ __typename }', { variables: [] }),
      query('{ __typename }', { variables: 'x' }),
      query('{ __typename }', { operationName: 7 }),
      query('{ __typename }', { extensions: 'x' }),
    ];
    for (const body of bodies)
      expect(await refusalOf({ path, body })).toMatchObject({ status: 400, code: 'BAD_REQUEST' });
    for (const search of ['', '?query=', '?query={__typename}&variables=x', '?query={__typename}&variables=7']) {
      const refusal = await refusalOf({ path: path + search, method: 'GET' });
      expect(refusal).toMatchObject({ status: 400, code: 'BAD_REQUEST' });
    }
  });

  test('a body that is too large is refused', async () => {
    const body = query('{ __typename }', { variables: { padding: 'x'.repeat(300_000) } });
    expect(await refusalOf({ path, body })).toMatchObject({ status: 413, code: 'BAD_REQUEST' });
  });

  test('a subscription that selects too much of each event is refused once, not for each event', async () => {
    const nest = (depth: number): string =>
      depth === 0 ? 'id' : `chat { members { edges { node { ${nest(depth - 1)} } } } }`;
    const document = (depth: number) =>
      `subscription { events { cursor event { __typename ... on NewChat { ${nest(depth)} } } } }`;
    const headers = { authorization: `Bearer ${ada.token}` };
    const text = await textOf({ path, headers, body: query(document(6)) });
    expect(text).toMatch(
      /^:\n\n:\nretry\n\nevent: next\ndata: \{"errors":\[\{"message":"The operation is too large[^\n]*\n\nevent: complete/,
    );
    await using stream = await openStream(server, ada, document(1), { path });
    await stream.next('CaughtUp');
    await createGroup(ada, [grace]);
    expect(await stream.next('NewChat')).toBeTruthy();
  });

  test('any Accept header that contains text/event-stream asks for a stream of events', async () => {
    for (const accept of [urqlAccept, 'TEXT/EVENT-STREAM', 'application/json;q=0.5,text/event-stream;q=0.1']) {
      await using stream = await openStream(server, ada, eventsDocument, { path, headers: { accept } });
      expect(stream.response.headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
      await stream.next('CaughtUp');
    }
    for (const accept of ['text/event-stream, application/json', 'text/event-stream; charset=utf-8']) {
      const text = await textOf({ path, headers: { accept }, body: query('{ __typename }') });
      expect(text).toBe(whole('{"data":{"__typename":"Query"}}'));
    }
  });
});

test('on /graphql a single result is JSON for clients that name that before a stream', async () => {
  const answerTo = async (body: string, accept: string) => {
    const response = await send({ headers: { accept, authorization: `Bearer ${ada.token}` }, body });
    const type = response.headers.get('content-type');
    return { status: response.status, type, body: await response.json() };
  };
  const json = 'application/json, text/event-stream';
  const whoAmI = query('{ viewer { user { username } eventCursor } }');
  expect(await answerTo(whoAmI, json)).toEqual({
    status: 200,
    type: 'application/json; charset=utf-8',
    body: { data: { viewer: { user: { username: 'ada' }, eventCursor: expect.any(String) } } },
  });
  expect(await answerTo(whoAmI, urqlAccept)).toMatchObject({
    status: 200,
    type: 'application/graphql-response+json; charset=utf-8',
    body: { data: { viewer: { user: { username: 'ada' } } } },
  });
  const search = new URLSearchParams({ query: '{ __typename }' });
  const byGet = await send({ path: `/graphql?${search}`, method: 'GET', headers: { accept: urqlAccept } });
  expect(await byGet.json()).toEqual({ data: { __typename: 'Query' } });

  const bad = [query('{ nothing }'), query('query ($id: ID!) { node(id: $id) { id } }'), query('{')];
  for (const body of bad) {
    const refusal = { errors: [{ extensions: { code: 'BAD_REQUEST' } }] };
    expect(await answerTo(body, urqlAccept)).toMatchObject({ status: 400, body: refusal });
    expect(await answerTo(body, json)).toMatchObject({ status: 200, body: refusal });
  }
  expect(await textOf({ path: '/graphql/stream', headers: { accept: json }, body: query('{ __typename }') })).toBe(
    whole('{"data":{"__typename":"Query"}}'),
  );
});

test('on /graphql/stream a client that accepts no stream gets none', async () => {
  const path = '/graphql/stream';
  for (const accept of ['application/json', 'text/html', 'text/event-stream;q=0']) {
    const refusal = await refusalOf({ path, headers: { accept }, body: query('{ __typename }') });
    expect(refusal).toMatchObject({ status: 406, code: 'BAD_REQUEST' });
  }
  expect(await textOf({ path, headers: { accept: '*/*' }, body: query('{ __typename }') })).toContain(complete);
});

test('on /graphql a subscription that asks for no stream gets an error that says how to ask', async () => {
  const response = await send({
    headers: { accept: 'application/json', authorization: `Bearer ${ada.token}` },
    body: query(eventsDocument),
  });
  expect(response.headers.get('content-type')).toContain('json');
  const { errors } = (await response.json()) as { errors: object[] };
  expect(errors).toMatchObject([
    { message: expect.stringContaining('text/event-stream'), extensions: { code: 'BAD_REQUEST' } },
  ]);
});

test('other methods are refused, with the allowed ones named', async () => {
  for (const [path, allowed] of [
    ['/graphql', 'GET, POST'],
    ['/graphql/stream', 'GET, POST, PUT, DELETE'],
  ] as const) {
    const refusal = await refusalOf({ path, method: 'PATCH', body: query('{ __typename }') });
    expect(refusal).toMatchObject({ status: 405, code: 'BAD_REQUEST' });
    expect(refusal.headers.get('allow')).toBe(allowed);
  }
});

test('each of several streams of one user gets everything', async () => {
  const chat = await createGroup(ada, [grace]);
  const streams = await Promise.all([1, 2, 3].map(() => followEvents(server, grace)));
  await say(ada, chat, 'hello');
  for (const stream of streams) {
    expect(eventOf(await stream.next())).toMatchObject({ message: { content: 'hello' } });
    await stream.close();
  }
});
