import { ApolloClient, gql, HttpLink, InMemoryCache } from '@apollo/client';
import { beforeAll, expect, onTestFinished, test, vi } from 'vitest';
import { createGroup, insertMessage, keyOf, removeMember } from '../../support/chat.ts';
import { signUp, type Data, type Person, type Variables } from '../../support/client.ts';
import { startServer, type TestServer } from '../../support/server.ts';
import { chatEventsDocument, eventsDocument } from '../../support/stream.ts';

let server: TestServer;
let ada: Person;
let grace: Person;
beforeAll(async () => {
  server = await startServer({
    env: { MAX_STREAMS_PER_SESSION: '2' },
    overrides: { streamTimes: { sweep: 20, heartbeat: 40 } },
  });
  [ada, grace] = await Promise.all([signUp(server, 'ada'), signUp(server, 'grace')]);
});

const accept = 'multipart/mixed;boundary=graphql;subscriptionSpec=1.0,application/json';

/** Reads a multipart stream as it arrives. */
class Parts implements AsyncDisposable {
  readonly response: Response;
  text = '';
  isOver = false;
  readonly #abort: AbortController;
  readonly #reading: Promise<void>;

  constructor(response: Response, abort: AbortController) {
    this.response = response;
    this.#abort = abort;
    this.#reading = this.#read();
  }

  /** The bodies of the complete parts, without the heartbeats. */
  get results(): Data[] {
    return this.bodies.filter((body) => Object.keys(body).length > 0);
  }

  get bodies(): Data[] {
    const parts = this.text.split('\r\n--graphql').slice(1, -1);
    return parts.map((part) => {
      const [head, body = ''] = part.split('\r\n\r\n');
      if (head !== '\r\ncontent-type: application/json') throw new Error(`not a part: ${part}`);
      return JSON.parse(body);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort();
    await this.#reading;
  }

  async #read(): Promise<void> {
    const decoder = new TextDecoder();
    try {
      for await (const chunk of this.response.body as AsyncIterable<Uint8Array>) {
        this.text += decoder.decode(chunk, { stream: true });
      }
      this.isOver = true;
    } catch {
      // The test aborted the request.
    }
  }
}

const arrived = (parts: Parts, count: number) =>
  vi.waitFor(() => expect(parts.results.length).toBeGreaterThanOrEqual(count), 5_000);
const ended = (parts: Parts) => vi.waitFor(() => expect(parts.isOver).toBe(true), 5_000);

async function open(by: Person | null, query: string, variables = {}, { path = '/graphql', accepts = accept } = {}) {
  const abort = new AbortController();
  const response = await fetch(server.url + path, {
    method: 'POST',
    headers: {
      accept: accepts,
      'content-type': 'application/json',
      ...(by !== null && { authorization: `Bearer ${by.token}` }),
    },
    body: JSON.stringify({ query, variables }),
    signal: abort.signal,
  });
  return new Parts(response, abort);
}

const part = (json: string) => `\r\ncontent-type: application/json\r\n\r\n${json}\r\n--graphql`;
const subscriptionTypes = 'multipart/mixed;boundary="graphql";subscriptionSpec="1.0"';

test.for(['/graphql', '/graphql/stream'])('on %s a query gets one part, and the stream ends', async (path) => {
  // If the Accept header named JSON first, the answer would be JSON.
  await using answer = await open(
    ada,
    '{ viewer { user { username } } }',
    {},
    { path, accepts: 'multipart/mixed; subscriptionSpec="1.0"' },
  );
  expect(answer.response.status).toBe(200);
  expect(answer.response.headers.get('content-type')).toBe(subscriptionTypes);
  expect(answer.response.headers.get('cache-control')).toBe('no-cache, no-transform');
  await ended(answer);
  expect(answer.text).toBe(`\r\n--graphql${part('{"payload":{"data":{"viewer":{"user":{"username":"ada"}}}}}')}--\r\n`);
});

test('an invalid document gets one part with errors, and the stream ends', async () => {
  await using answer = await open(ada, 'subscription { notThere }');
  await ended(answer);
  expect(answer.results).toMatchObject([{ payload: { errors: [{ extensions: { code: 'BAD_REQUEST' } }] } }]);
  expect(answer.text.endsWith('\r\n--graphql--\r\n')).toBe(true);
});

test('a subscription sends one part for each event, with heartbeats in between', async () => {
  const chatId = await createGroup(ada, [grace]);
  await using stream = await open(ada, eventsDocument);
  expect(stream.response.headers.get('content-type')).toBe(subscriptionTypes);
  await arrived(stream, 1);
  expect(stream.results[0].payload.data.events.event).toEqual({ __typename: 'CaughtUp', replayed: 0 });
  await vi.waitFor(() => expect(stream.text).toContain(part('{}')));
  const content = 'a boundary:\r\n--graphql--\r\n and "more" 🙂'.replaceAll('\r', '');
  await insertMessage(server, chatId, grace, content);
  await arrived(stream, 2);
  expect(stream.results[1].payload.data.events.event.message.content).toBe(content);
  expect(stream.results[1].payload.data.events.cursor).toMatch(/^[0-9a-f]{12}\.\d+$/);
  expect(stream.bodies.length).toBeGreaterThan(stream.results.length);
  expect(stream.text).not.toContain('--graphql--\r\n');
});

test('a stream that ends for good says why and closes the body; one that should be reopened is just cut', async () => {
  const chatId = await createGroup(ada, [grace]);
  await using stream = await open(grace, chatEventsDocument, { chatId });
  await arrived(stream, 1);
  await removeMember(server, chatId, grace);
  await ended(stream);
  expect(stream.results.at(-1)).toMatchObject({ payload: { errors: [{ extensions: { code: 'NOT_FOUND' } }] } });
  expect(stream.text.endsWith('\r\n--graphql--\r\n')).toBe(true);

  const going = await startServer({ database: server.database });
  const abort = new AbortController();
  const response = await fetch(`${going.url}/graphql`, {
    method: 'POST',
    headers: { accept, 'content-type': 'application/json', authorization: `Bearer ${ada.token}` },
    body: JSON.stringify({ query: eventsDocument }),
    signal: abort.signal,
  });
  await using cut = new Parts(response, abort);
  await arrived(cut, 1);
  await going.close();
  await ended(cut);
  expect(cut.text).not.toContain('--graphql--');
});

test('of the stream formats that the client names, the first is used', async () => {
  const kinds: [string, string][] = [
    ['text/event-stream, multipart/mixed;subscriptionSpec=1.0', 'text/event-stream; charset=utf-8'],
    ['multipart/mixed;subscriptionSpec=1.0, text/event-stream', subscriptionTypes],
    ['multipart/mixed;subscriptionSpec=1.0;q=0, text/event-stream', 'text/event-stream; charset=utf-8'],
    ['multipart/mixed, text/event-stream', 'text/event-stream; charset=utf-8'],
    ['Multipart/Mixed; SubscriptionSpec="1.0"', subscriptionTypes],
  ];
  for (const [accepts, kind] of kinds) {
    await using answer = await open(ada, 'subscription { notThere }', {}, { accepts });
    expect([accepts, answer.response.headers.get('content-type')]).toEqual([accepts, kind]);
  }
});

const happening = '{ cursor event { __typename ... on NewMessage { message { id content } } } }';
const everything = `subscription { events ${happening} }`;
const oneChat = `subscription ($chatId: ID!) { chatEvents(chatId: $chatId) ${happening} }`;

/** Opens Apollo Client as in its getting-started guide, but with a token. */
function openApollo(by: Person) {
  const link = new HttpLink({ uri: `${server.url}/graphql`, headers: { authorization: `Bearer ${by.token}` } });
  const cache = new InMemoryCache({ possibleTypes: { Event: ['CaughtUp', 'NewMessage', 'ChatDeleted'] } });
  const client = new ApolloClient({ link, cache });
  onTestFinished(() => client.stop());
  const subscribe = (document: string, variables: Variables = {}) => {
    const events: Data[] = [];
    const ends: unknown[] = [];
    const subscription = client.subscribe({ query: gql(document), variables }).subscribe({
      next: ({ data, error }) => void (error === undefined ? events.push(data) : ends.push(error)),
      error: (error) => void ends.push(error),
      complete: () => void ends.push('complete'),
    });
    onTestFinished(() => subscription.unsubscribe());
    return { events, ends, unsubscribe: () => subscription.unsubscribe() };
  };
  return { client, subscribe };
}

test('Apollo Client subscribes without any set-up, and unsubscribes', async () => {
  const chatId = await createGroup(ada, [grace]);
  const { client, subscribe } = openApollo(grace);
  const { data } = await client.query({ query: gql('query { viewer { id user { id username } } }') });
  expect(data).toMatchObject({ viewer: { user: { username: 'grace' } } });
  const streams = [subscribe(everything), subscribe(oneChat, { chatId })];
  await vi.waitFor(() => expect(streams.map(({ events }) => events.length)).toEqual([1, 1]), 5_000);
  await insertMessage(server, chatId, ada, 'hello');
  await vi.waitFor(() => expect(streams.map(({ events }) => events.length)).toEqual([2, 2]), 5_000);
  expect(streams[0]?.events.map(({ events }) => events.event.message?.content)).toEqual([undefined, 'hello']);
  for (const { ends, unsubscribe } of streams) {
    expect(ends).toEqual([]);
    unsubscribe();
  }
  // A session may have only two streams, so two new ones open only after the server has released the first two.
  await vi.waitFor(async () => {
    await using stream = await open(grace, eventsDocument);
    await using another = await open(grace, eventsDocument);
    expect([stream.response.status, another.response.status]).toEqual([200, 200]);
  }, 5_000);
});

test('Apollo Client gets an error when it loses access', async () => {
  const chatId = await createGroup(ada, [grace]);
  const { subscribe } = openApollo(grace);
  const stream = subscribe(oneChat, { chatId });
  await vi.waitFor(() => expect(stream.events).toHaveLength(1), 5_000);
  await server.sql.query('delete from chats where id = $1', [keyOf(chatId)]);
  await vi.waitFor(() => expect(stream.ends).toHaveLength(2), 5_000);
  expect(String(stream.ends[0])).toContain('You no longer have access to this chat.');
  expect(stream.ends[1]).toBe('complete');
});
