import { beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { createGroup, insertMessage, say } from '../../support/chat.ts';
import { type Person, signUpAll } from '../../support/client.ts';
import type { TestServer } from '../../support/server.ts';
import { sharedServer } from '../../support/shared-server.ts';
import {
  completed,
  give,
  happened,
  happeningOf,
  openReserved,
  request,
  reserve,
  takeBack,
  tokenHeader,
} from '../../support/single.ts';
import { chatEventsDocument, eventsDocument } from '../../support/stream.ts';

let server: TestServer;
let ada: Person;
let grace: Person;
let linus: Person;
beforeAll(async () => {
  server = await sharedServer();
  [ada, grace, linus] = await signUpAll(server, 'ada', 'grace', 'linus');
});

beforeEach(async () => {
  // Delete the streams that earlier tests have left open or waiting, because they must not count.
  await server.sql.query('delete from stream_reservations');
});

const accept = 'text/event-stream';
const messageOf = async (response: Response): Promise<string> => {
  expect(response.headers.get('content-type')).toBe('application/json; charset=utf-8');
  return (await response.json()).errors[0].message;
};

describe('a reservation', () => {
  test('has a token, which only the client stores', async () => {
    const response = await request(server, ada, 'PUT');
    expect(response.status).toBe(201);
    expect(response.headers.get('content-type')).toBe('text/plain; charset=utf-8');
    const token = await response.text();
    // The token has 256 random bits, encoded as base64url.
    expect(token).toMatch(/^psr_[\w-]{43}$/);
    const tokens = await Promise.all(Array.from({ length: 8 }, () => reserve(server, grace)));
    expect(new Set(tokens).size).toBe(8);
    const { rows } = await server.sql.query('select stream_reservations::text as row from stream_reservations');
    expect(rows.length).toBe(9);
    for (const kept of [token, Buffer.from(token).toString('hex'), Buffer.from(token, 'base64url').toString('hex')]) {
      expect(JSON.stringify(rows)).not.toContain(kept);
    }
  });

  test('requires a signed-in user, and is returned as text', async () => {
    expect((await request(server, null, 'PUT')).status).toBe(401);
    expect((await request(server, { token: 'x.y.z' }, 'PUT')).status).toBe(401);
    for (const ok of ['text/plain', 'text/*;q=0.5', '*/*', 'application/json, text/plain']) {
      expect((await request(server, ada, 'PUT', { headers: { accept: ok } })).status).toBe(201);
    }
    for (const wrong of ['application/json', 'gibberish', accept]) {
      expect((await request(server, ada, 'PUT', { headers: { accept: wrong } })).status).toBe(406);
    }
  });

  test('works only on /graphql/stream', async () => {
    for (const method of ['PUT', 'DELETE']) {
      const response = await fetch(`${server.url}/graphql`, {
        method,
        headers: { accept, authorization: `Bearer ${ada.token}` },
      });
      expect(response.status).toBe(405);
      expect(response.headers.get('allow')).toBe('GET, POST');
    }
  });

  test('is valid for 60 seconds or, if its stream is opened in that time, until the stream ends', async () => {
    const age = (seconds: number) =>
      server.sql.query(`update stream_reservations set created_at = now() - $1 * interval '1 second'`, [seconds]);
    const token = await reserve(server, ada);
    await age(59);
    expect((await give(server, ada, token, { id: '1', query: '{ __typename }' })).status).toBe(202);
    await age(61);
    expect((await give(server, ada, token, { id: '2', query: '{ __typename }' })).status).toBe(404);
    expect((await takeBack(server, ada, token, '1')).status).toBe(404);
    await expect(openReserved(server, ada, token)).rejects.toThrow('400');

    const another = await reserve(server, ada);
    await using stream = await openReserved(server, ada, another);
    await age(3_600);
    expect((await give(server, ada, another, { id: '1', query: '{ __typename }' })).status).toBe(202);
    await stream.next(completed('1'));
  });

  test('is visible only to the session that made it', async () => {
    const token = await reserve(server, ada);
    const { signIn } = await server.ask(
      'mutation ($input: SignInInput!) { signIn(input: $input) { ... on SignedIn { accessToken } } }',
      { input: { email: ada.email, password: ada.password } },
    );
    for (const stranger of [grace, { token: signIn.accessToken }]) {
      expect((await give(server, stranger, token, { id: '1', query: '{ __typename }' })).status).toBe(404);
      expect((await takeBack(server, stranger, token, '1')).status).toBe(404);
      await expect(openReserved(server, stranger, token)).rejects.toThrow('400');
    }
    for (const method of ['POST', 'DELETE', 'GET']) {
      const headers = { [tokenHeader]: token, accept: method === 'GET' ? accept : '*/*' };
      expect((await request(server, null, method, { headers })).status).toBe(401);
    }
    // None of these requests changed the reservation.
    await using stream = await openReserved(server, ada, token);
    expect(stream.response.status).toBe(200);
  });
});

describe('the rules for a request', () => {
  test('a stream that was not reserved does not exist', async () => {
    for (const headers of [{ [tokenHeader]: '0' }, {}]) {
      const search = tokenHeader in headers ? '' : '?token=0';
      for (const method of ['POST', 'GET', 'DELETE']) {
        const response = await request(server, ada, method, { search, headers });
        expect(response.status).toBe(404);
        expect(await messageOf(response)).toBe('There is no such stream.');
      }
    }
    expect((await request(server, ada, 'DELETE', { search: '?operationId=1' })).status).toBe(404);
  });

  test('a request that accepts an event stream opens a distinct connection', async () => {
    for (const headers of [{ accept, [tokenHeader]: '0' }, { accept }]) {
      const response = await request(server, ada, 'GET', { headers });
      expect(response.status).toBe(400);
      expect(await messageOf(response)).toBe('The parameter `query` is missing.');
    }
    const search = `?query=${encodeURIComponent('{ viewer { user { username } } }')}`;
    const response = await request(server, ada, 'GET', { search, headers: { accept, [tokenHeader]: '0' } });
    expect((await response.text()).replace(/^retry: \d+$/m, 'retry')).toBe(
      ':\n\n:\nretry\n\nevent: next\ndata: {"data":{"viewer":{"user":{"username":"ada"}}}}\n\nevent: complete\ndata:\n\n',
    );
  });

  test('the token of a stream is sent in a header or in the URL', async () => {
    const inHead = await reserve(server, ada);
    await using stream = await openReserved(server, ada, inHead);
    expect(stream.response.headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
    expect(stream.response.headers.get('cache-control')).toBe('no-cache, no-transform');
    expect(stream.response.headers.get('x-accel-buffering')).toBe('no');
    expect(stream.response.headers.get('content-encoding')).toBe(null);
    const search = `?token=${await reserve(server, ada)}`;
    const byUrl = await request(server, ada, 'GET', { search, headers: { accept } });
    expect(byUrl.status).toBe(200);
    const body = { query: '{ __typename }', extensions: { operationId: 'x' } };
    expect((await request(server, ada, 'POST', { search, body })).status).toBe(202);
    expect((await request(server, ada, 'DELETE', { search: `${search}&operationId=x` })).status).toBe(200);
    await byUrl.body?.cancel();
    const byPost = await request(server, ada, 'POST', {
      headers: { accept, [tokenHeader]: await reserve(server, ada) },
    });
    expect(byPost.status).toBe(200);
    await byPost.body?.cancel();
  });

  test('a reserved stream can be opened only once', async () => {
    const token = await reserve(server, ada);
    const attempts = await Promise.allSettled(Array.from({ length: 5 }, () => openReserved(server, ada, token)));
    const opened = attempts.filter((attempt) => attempt.status === 'fulfilled').map(({ value }) => value);
    expect(opened).toHaveLength(1);
    await expect(openReserved(server, ada, token)).rejects.toThrow('409');
    await opened[0]?.close();
    // When the stream ends, its reservation is deleted.
    await vi.waitFor(async () => {
      expect((await give(server, ada, token, { id: '1', query: '{ __typename }' })).status).toBe(404);
    });
  });

  test('responses and request bodies are JSON', async () => {
    const token = await reserve(server, ada);
    const query = '{ __typename }';
    const post = (
      id: string,
      headers: Record<string, string>,
      body: unknown = { query, extensions: { operationId: id } },
    ) => request(server, ada, 'POST', { headers: { [tokenHeader]: token, ...headers }, body });
    expect((await post('1', { accept: 'gibberish' })).status).toBe(406);
    expect((await request(server, ada, 'GET', { headers: { [tokenHeader]: token, accept: 'gibberish' } })).status).toBe(
      406,
    );
    expect((await post('1', { 'content-type': 'text/plain' })).status).toBe(415);
    expect((await post('1', {}, '{')).status).toBe(400);
    expect((await post('1', {}, '[]')).status).toBe(400);
    expect((await post('1', {}, { query: 1, extensions: { operationId: '1' } })).status).toBe(400);
    expect((await post('1', {}, { query, extensions: { operationId: '1' }, variables: 'x' })).status).toBe(400);
    expect((await post('1', {}, { query: ' '.repeat(300_000), extensions: { operationId: '1' } })).status).toBe(413);
    const noQuery = await request(server, ada, 'GET', {
      headers: { [tokenHeader]: token, accept: 'application/json' },
    });
    expect(noQuery.status).toBe(400);
    expect(await messageOf(noQuery)).toBe('The parameter `query` is missing.');
    // None of these requests used up the id.
    for (const [id, ok] of Object.entries([
      'application/json',
      'application/*',
      '*/*',
      'text/html, application/json',
    ])) {
      expect((await post(id, { accept: ok })).status).toBe(202);
    }
  });

  test('other methods are refused, with the allowed ones named', async () => {
    for (const method of ['PATCH', 'HEAD']) {
      const response = await request(server, ada, method);
      expect(response.status).toBe(405);
      expect(response.headers.get('allow')).toBe('GET, POST, PUT, DELETE');
    }
  });
});

describe('an operation', () => {
  test('needs an id that no other operation on its stream has', async () => {
    const token = await reserve(server, ada);
    const query = '{ __typename }';
    for (const extensions of [undefined, {}, { operationId: '' }, { operationId: null }, { operationId: {} }]) {
      const response = await request(server, ada, 'POST', {
        headers: { [tokenHeader]: token },
        body: { query, extensions },
      });
      expect(response.status).toBe(400);
      expect(await messageOf(response)).toBe('The operation id is missing.');
    }
    expect((await give(server, ada, token, { id: 'x'.repeat(257), query })).status).toBe(400);
    expect((await give(server, ada, token, { id: '1', query })).status).toBe(202);
    expect((await give(server, ada, token, { id: '1', query })).status).toBe(409);
    expect((await takeBack(server, ada, token, '')).status).toBe(400);
    const other = await reserve(server, ada);
    expect((await give(server, ada, other, { id: '1', query })).status).toBe(202);
  });

  test('sends its result on the stream, and its id is free again when it ends', async () => {
    const token = await reserve(server, ada);
    await using stream = await openReserved(server, ada, token);
    expect(stream.response.headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
    const query = '{ viewer { user { username } } }';
    for (let round = 1; round <= 10; round += 1) {
      const response = await give(server, ada, token, { id: '"1"\n', query });
      expect(response.status).toBe(202);
      expect(await response.text()).toBe('');
      await stream.next(completed('"1"\n'));
    }
    const frames =
      'event: next\ndata: {"id":"\\"1\\"\\n","payload":{"data":{"viewer":{"user":{"username":"ada"}}}}}\n\n' +
      'event: complete\ndata: {"id":"\\"1\\"\\n"}\n\n';
    expect(stream.text.replace(/^retry: \d+$/m, 'retry')).toBe(`:\n\n:\nretry\n\n${frames.repeat(10)}`);
  });

  test('may be sent by GET, unless it is a mutation', async () => {
    const token = await reserve(server, ada);
    await using stream = await openReserved(server, ada, token);
    const send = (query: string, id: string) => {
      const params = { query, extensions: JSON.stringify({ operationId: id }) };
      return request(server, ada, 'GET', {
        search: `?${new URLSearchParams(params)}`,
        headers: { [tokenHeader]: token, accept: 'application/json' },
      });
    };
    const refused = await send('mutation { streamToken }', 'change');
    expect(refused.status).toBe(405);
    expect(refused.headers.get('allow')).toBe('POST');
    expect((await send('{ __typename }', 'look')).status).toBe(202);
    const [result] = await stream.until(completed('look'));
    expect(result).toEqual({
      id: null,
      event: 'next',
      data: { id: 'look', payload: { data: { __typename: 'Query' } } },
    });
    expect((await give(server, ada, token, { id: 'change', query: 'mutation { streamToken }' })).status).toBe(202);
    const [changed] = await stream.until(completed('change'));
    expect(changed?.data.payload.data.streamToken).toMatch(/^ey/);
  });

  test('that subscribes runs until it is stopped, alongside others', async () => {
    const chatId = await createGroup(ada, [grace]);
    const token = await reserve(server, grace);
    await using stream = await openReserved(server, grace, token);
    await give(server, grace, token, { id: 'all', query: eventsDocument });
    await give(server, grace, token, { id: 'chat', query: chatEventsDocument, variables: { chatId } });
    await vi.waitFor(() => expect(stream.frames).toHaveLength(2));
    await insertMessage(server, chatId, ada, 'to both');
    await vi.waitFor(() => expect(stream.frames).toHaveLength(4));
    const [first, second] = stream.frames.slice(2);
    expect(new Set([first?.data.id, second?.data.id])).toEqual(new Set(['all', 'chat']));
    expect(happeningOf(first as never)).toMatchObject({ __typename: 'NewMessage', message: { content: 'to both' } });
    expect(first?.id).toBe((Object.values(first?.data.payload.data)[0] as { cursor: string }).cursor);
    expect(second?.id).toBe(first?.id);

    expect((await takeBack(server, grace, token, 'all')).status).toBe(200);
    await stream.next(completed('all'));
    await insertMessage(server, chatId, ada, 'to one');
    const rest = await stream.until(happened('chat', 'NewMessage'));
    expect(rest.map(({ data }) => data.id)).toEqual(['chat']);
    // Stopping an operation that does not exist is not an error.
    expect((await takeBack(server, grace, token, 'all')).status).toBe(200);
  });

  test('that was stopped frees its id for another immediately', async () => {
    const chatId = await createGroup(ada, [grace]);
    const token = await reserve(server, grace);
    await using stream = await openReserved(server, grace, token);
    for (let round = 0; round < 10; round += 1) {
      await give(server, grace, token, { id: '1', query: eventsDocument });
      await takeBack(server, grace, token, '1');
    }
    expect((await give(server, grace, token, { id: '1', query: eventsDocument })).status).toBe(202);
    await insertMessage(server, chatId, ada, 'once');
    await stream.next(happened('1', 'NewMessage'));
    // If a second operation were still running, it would have received the event at the same moment.
    await give(server, grace, token, { id: 'last', query: '{ __typename }' });
    await stream.next(completed('last'));
    expect(stream.frames.filter(happened('1', 'NewMessage'))).toHaveLength(1);
  });

  test('whose document is invalid is refused immediately, and the stream continues', async () => {
    const token = await reserve(server, ada);
    await using stream = await openReserved(server, ada, token);
    const invalid = await give(server, ada, token, { id: '1', query: 'subscription { notThere }' });
    expect(invalid.status).toBe(400);
    expect(invalid.headers.get('content-type')).toBe('application/json; charset=utf-8');
    expect(await invalid.json()).toEqual({
      errors: [
        {
          message: 'Cannot query field "notThere" on type "Subscription".',
          locations: [{ line: 1, column: 16 }],
          extensions: { code: 'BAD_REQUEST' },
        },
      ],
    });
    const unparsed = await give(server, ada, token, { id: '1', query: '}}' });
    expect(unparsed.status).toBe(400);
    expect(await messageOf(unparsed)).toBe('Syntax Error: Unexpected "}".');
    await give(server, ada, token, { id: '1', query: '{ __typename }' });
    const frames = await stream.until(completed('1'));
    expect(frames).toHaveLength(2);
  });

  test('that fails sends its error on the stream', async () => {
    const token = await reserve(server, ada);
    await using stream = await openReserved(server, ada, token);
    const hidden = await createGroup(grace, [linus]);
    const variables = { chatId: hidden };
    expect((await give(server, ada, token, { id: '1', query: chatEventsDocument, variables })).status).toBe(202);
    const [next, end] = await stream.until(completed('1'));
    expect(next?.data.payload.errors).toMatchObject([{ path: ['chatEvents'], extensions: { code: 'NOT_FOUND' } }]);
    expect(next?.data.payload.data).toBeUndefined();
    expect(end?.event).toBe('complete');
    // Variables of the wrong type are detected only during execution.
    const query = 'query ($id: ID!) { chat(id: $id) { id } }';
    expect((await give(server, ada, token, { id: '2', query })).status).toBe(202);
    const [wrong] = await stream.until(completed('2'));
    expect(wrong?.data.payload.errors[0].message).toContain('"$id"');
  });

  test('that is slow does not delay others', async () => {
    const chatId = await createGroup(ada, [grace]);
    const token = await reserve(server, ada);
    await using stream = await openReserved(server, ada, token);
    const holder = await server.sql.connect();
    try {
      await holder.query('begin');
      await holder.query('lock table messages in access exclusive mode');
      const slow = `query ($id: ID!) { chat(id: $id) { messages(last: 1) { edges { node { content } } } } }`;
      await give(server, ada, token, { id: 'slow', query: slow, variables: { id: chatId } });
      await give(server, ada, token, { id: 'quick', query: '{ __typename }' });
      const frames = await stream.until(completed('quick'));
      expect(frames.map(({ data }) => data.id)).toEqual(['quick', 'quick']);
      await takeBack(server, ada, token, 'slow');
      await stream.next(completed('slow'));
    } finally {
      await holder.query('rollback');
      holder.release();
    }
    await give(server, ada, token, { id: 'slow', query: '{ __typename }' });
    expect((await stream.until(completed('slow'))).map(({ data }) => data.payload?.data)).toEqual([
      { __typename: 'Query' },
      undefined,
    ]);
  });

  test('that is stopped while it is being prepared never runs', async () => {
    const token = await reserve(server, ada);
    await using stream = await openReserved(server, ada, token);
    const holder = await server.sql.connect();
    try {
      await holder.query('begin');
      await holder.query('lock table event_log in access exclusive mode');
      const giving = give(server, ada, token, { id: '1', query: eventsDocument });
      await vi.waitFor(async () => {
        const { rows } = await holder.query(`select state from stream_operations`);
        expect(rows).toEqual([{ state: 'PREPARING' }]);
      });
      expect((await takeBack(server, ada, token, '1')).status).toBe(200);
      await holder.query('rollback');
      expect((await giving).status).toBe(204);
    } finally {
      await holder.query('rollback');
      holder.release();
    }
    await give(server, ada, token, { id: '2', query: '{ __typename }' });
    expect((await stream.until(completed('2'))).map(({ data }) => data.id)).toEqual(['2', '2']);
  });

  test('whose client disconnected while it was being prepared is removed', async () => {
    const token = await reserve(server, ada);
    await using stream = await openReserved(server, ada, token);
    const abort = new AbortController();
    const holder = await server.sql.connect();
    try {
      await holder.query('begin');
      await holder.query('lock table event_log in access exclusive mode');
      const giving = fetch(`${server.url}/graphql/stream`, {
        method: 'POST',
        headers: {
          authorization: `Bearer ${ada.token}`,
          'content-type': 'application/json',
          [tokenHeader]: token,
        },
        body: JSON.stringify({ query: eventsDocument, extensions: { operationId: '1' } }),
        signal: abort.signal,
      });
      await vi.waitFor(async () => {
        expect((await holder.query(`select from stream_operations`)).rowCount).toBe(1);
      });
      abort.abort();
      await expect(giving).rejects.toThrow('aborted');
      await holder.query('rollback');
    } finally {
      await holder.query('rollback');
      holder.release();
    }
    await vi.waitFor(async () => {
      expect((await server.sql.query(`select from stream_operations`)).rowCount).toBe(0);
    });
    await give(server, ada, token, { id: '2', query: '{ __typename }' });
    await stream.next(completed('2'));
    const chatId = await createGroup(ada, [grace]);
    await give(server, ada, token, { id: '3', query: chatEventsDocument, variables: { chatId } });
    await stream.next(happened('3', 'CaughtUp'));
    await insertMessage(server, chatId, grace, 'to those who listen');
    expect((await stream.until(happened('3', 'NewMessage'))).map(({ data }) => data.id)).toEqual(['3']);
  });
});

describe('before its stream opens', () => {
  test('an operation waits, and a subscription misses nothing that happens in the meantime', async () => {
    const chatId = await createGroup(ada, [grace]);
    await say(ada, chatId, 'before');
    const token = await reserve(server, ada);
    expect((await give(server, ada, token, { id: 'query', query: '{ __typename }' })).status).toBe(202);
    await give(server, ada, token, { id: 'all', query: eventsDocument });
    await give(server, ada, token, { id: 'chat', query: chatEventsDocument, variables: { chatId } });
    await give(server, ada, token, { id: 'back', query: eventsDocument });
    await takeBack(server, ada, token, 'back');
    await say(ada, chatId, 'one');
    await say(ada, chatId, 'two');
    await using stream = await openReserved(server, ada, token);
    await vi.waitFor(() => expect(stream.frames.filter(({ data }) => data.id !== 'query')).toHaveLength(6));
    for (const id of ['all', 'chat']) {
      const frames = stream.frames.filter(({ data }) => data.id === id);
      expect(frames.map((frame) => happeningOf(frame).message?.content ?? happeningOf(frame).replayed)).toEqual([
        'one',
        'two',
        2,
      ]);
    }
    expect(stream.frames.filter(({ data }) => data.id === 'query').map(({ event }) => event)).toEqual([
      'next',
      'complete',
    ]);
  });

  test('only clients with the stream’s token can learn what a waiting operation will do', async () => {
    const token = await reserve(server, ada);
    const query = 'mutation Secret($input: ChangePasswordInput!) { changePassword(input: $input) { __typename } }';
    const variables = { input: { currentPassword: 'a wrong password', newPassword: 'another password' } };
    expect((await give(server, ada, token, { id: '1', query, variables })).status).toBe(202);
    const { rows } = await server.sql.query('select stream_operations::text as row, params from stream_operations');
    expect(rows).toHaveLength(1);
    for (const secret of ['Secret', 'password', token]) expect(rows[0].row).not.toContain(secret);
    const sealed = Buffer.from(rows[0].params, 'base64');
    expect(sealed.includes('password')).toBe(false);
    await using stream = await openReserved(server, ada, token);
    const [result] = await stream.until(completed('1'));
    expect(result?.data.payload.data).toEqual({ changePassword: { __typename: 'InvalidCredentials' } });
  });

  test('the number and the bytes of waiting operations are limited', async () => {
    const token = await reserve(server, ada);
    const large = (id: string) => give(server, ada, token, { id, query: `{ __typename } #${'x'.repeat(200_000)}` });
    for (const id of ['1', '2', '3', '4', '5']) expect((await large(id)).status).toBe(202);
    const refused = await large('6');
    expect(refused.status).toBe(429);
    expect(refused.headers.get('retry-after')).toBe('5');
    expect(await messageOf(refused)).toContain('MAX_STREAM_BUFFER_BYTES');
    const small = (id: string) => give(server, ada, token, { id, query: '{ __typename }' });
    const statuses = await Promise.all(Array.from({ length: 95 }, async (_, id) => (await small(`s${id}`)).status));
    expect(new Set(statuses)).toEqual(new Set([202]));
    const one = await small('one more');
    expect(one.status).toBe(429);
    expect(one.headers.get('retry-after')).toBe('5');
    expect(await messageOf(one)).toContain('MAX_OPERATIONS_PER_STREAM');
    // Each operation that ends frees its share of the budget.
    await takeBack(server, ada, token, 's1');
    expect((await small('one more')).status).toBe(202);
  });
});
