import { createClient, NetworkError, type ClientOptions } from 'graphql-sse';
import { beforeAll, beforeEach, expect, onTestFinished, test, vi } from 'vitest';
import { createGroup, insertMessage } from '../../support/chat.ts';
import { signUp, type Data, type Person } from '../../support/client.ts';
import { openProxy } from '../../support/proxy.ts';
import type { TestServer } from '../../support/server.ts';
import { sharedServer } from '../../support/shared-server.ts';
import { eventsDocument } from '../../support/stream.ts';

let server: TestServer;
let ada: Person;
let grace: Person;
let chatId: string;
beforeAll(async () => {
  server = await sharedServer();
  [ada, grace] = await Promise.all([signUp(server, 'ada'), signUp(server, 'grace')]);
  chatId = await createGroup(ada, [grace]);
});
beforeEach(() => server.sql.query('delete from stream_reservations'));

const query = '{ viewer { user { username } } }';
const graceSays = (content: string) => insertMessage(server, chatId, grace, content);

async function expectRows(table: 'stream_reservations' | 'stream_operations', count: number): Promise<void> {
  await vi.waitFor(async () => expect((await server.sql.query(`select from ${table}`)).rowCount).toBe(count), 5_000);
}

/** Connects graphql-sse's own client in single connection mode. `sent` lists its requests so far. */
function connect(options: Partial<ClientOptions<true>> = {}) {
  const sent: { method: string; status: number | null }[] = [];
  const authorizations = new Set<string | null>();
  const client = createClient({
    url: `${server.url}/graphql/stream`,
    // This is a function because the client writes the stream's token into the result, and briefly has two streams when
    // it reconnects.
    headers: () => ({ authorization: `Bearer ${ada.token}` }),
    singleConnection: true,
    retryAttempts: 0,
    retry: () => new Promise((resolve) => setTimeout(resolve, 5)),
    fetchFn: async (url: string, init: RequestInit) => {
      const record: (typeof sent)[number] = { method: init.method ?? 'GET', status: null };
      sent.push(record);
      authorizations.add(new Headers(init.headers).get('authorization'));
      const response = await fetch(url, init);
      record.status = response.status;
      return response;
    },
    ...options,
  });
  onTestFinished(() => client.dispose());
  return { client, sent, authorizations };
}

/** Subscribes, and records what the client reports about the subscription. */
function subscribe(client: ReturnType<typeof connect>['client'], document: string) {
  const results: Data[] = [];
  const ends: unknown[] = [];
  const dispose = client.subscribe<Data>(
    { query: document },
    {
      next: (result) => void results.push(result),
      error: (error) => void ends.push(error),
      complete: () => void ends.push('complete'),
    },
  );
  return {
    results,
    dispose,
    arrived: (count: number) => vi.waitFor(() => expect(results).toHaveLength(count), 5_000),
    ended: async (): Promise<unknown> => {
      await vi.waitFor(() => expect(ends).toHaveLength(1), 5_000);
      return ends[0];
    },
  };
}

test('the client sends every request with its headers, and receives what the protocol says', async () => {
  const messages: unknown[] = [];
  const { client, sent, authorizations } = connect({
    generateID: () => 'one',
    on: { message: (message) => void messages.push(message) },
  });
  const result = subscribe(client, query);
  expect(await result.ended()).toBe('complete');
  expect(result.results).toEqual([{ data: { viewer: { user: { username: 'ada' } } } }]);
  expect(messages).toEqual([
    { event: 'next', data: { id: 'one', payload: { data: { viewer: { user: { username: 'ada' } } } } } },
    { event: 'complete', data: { id: 'one' } },
  ]);
  expect(sent).toEqual([
    { method: 'PUT', status: 201 },
    { method: 'GET', status: 200 },
    { method: 'POST', status: 202 },
  ]);
  expect([...authorizations]).toEqual([`Bearer ${ada.token}`]);
});

test('an invalid document is reported as an error, not as completion', async () => {
  const { client } = connect();
  const error = await subscribe(client, '}}').ended();
  expect(error).toBeInstanceOf(NetworkError);
  expect(String(error)).toContain('400');
});

test('unsubscribing stops the operation', async () => {
  const { client, sent } = connect({ lazyCloseTimeout: 60_000 });
  const events = subscribe(client, eventsDocument);
  await events.arrived(1);
  await graceSays('heard');
  await events.arrived(2);
  events.dispose();
  expect(await events.ended()).toBe('complete');
  expect(sent.at(-1)).toEqual({ method: 'DELETE', status: 200 });
  await expectRows('stream_operations', 0);
  // The connection can still be used for the next subscription.
  expect(await subscribe(client, query).ended()).toBe('complete');
  expect(sent.map(({ method }) => method)).toEqual(['PUT', 'GET', 'POST', 'DELETE', 'POST']);
});

test('leaving an iteration early stops the operation', async () => {
  const { client, sent } = connect();
  for await (const { data } of client.iterate<Data>({ query: eventsDocument })) {
    expect(data.events.event.__typename).toBe('CaughtUp');
    break;
  }
  await vi.waitFor(() => expect(sent.at(-1)).toEqual({ method: 'DELETE', status: 200 }));
});

test('the client connects for its first subscription and disconnects after its last', async () => {
  const { client, sent } = connect();
  expect(sent).toEqual([]);
  const first = subscribe(client, eventsDocument);
  await first.arrived(1);
  const second = subscribe(client, eventsDocument);
  await second.arrived(1);
  await expectRows('stream_reservations', 1);
  first.dispose();
  await first.ended();
  await graceSays('to the second');
  await second.arrived(2);
  expect(first.results).toHaveLength(1);
  second.dispose();
  await second.ended();
  await expectRows('stream_reservations', 0);
  expect(sent.map(({ method }) => method)).toEqual(['PUT', 'GET', 'POST', 'POST', 'DELETE', 'DELETE']);
});

test('the client disconnects a while after its last subscription, if configured to', async () => {
  const { client } = connect({ lazyCloseTimeout: 300 });
  const events = subscribe(client, eventsDocument);
  await events.arrived(1);
  events.dispose();
  await events.ended();
  await expectRows('stream_operations', 0);
  await expectRows('stream_reservations', 1);
  await expectRows('stream_reservations', 0);
});

test('a client that is not lazy connects immediately and disconnects when it is disposed of', async () => {
  const { client, sent } = connect({ lazy: false, onNonLazyError: () => {} });
  await vi.waitFor(() => expect(sent.at(-1)).toEqual({ method: 'GET', status: 200 }));
  const events = subscribe(client, eventsDocument);
  await events.arrived(1);
  events.dispose();
  await events.ended();
  await expectRows('stream_operations', 0);
  await expectRows('stream_reservations', 1);
  client.dispose();
  await expectRows('stream_reservations', 0);
});

test('the client reconnects when its connection breaks, with all its subscriptions', async () => {
  const proxy = await openProxy(server.url);
  const { client, sent } = connect({ url: `${proxy.through(server.url)}/graphql/stream`, retryAttempts: 10 });
  const [first, second] = [subscribe(client, eventsDocument), subscribe(client, eventsDocument)];
  for (const round of [1, 2, 3]) {
    for (const events of [first, second]) await events.arrived(2 * round - 1);
    await graceSays(`round ${round}`);
    for (const events of [first, second]) {
      await events.arrived(2 * round);
      expect(events.results.at(-1).data.events.event.message.content).toBe(`round ${round}`);
    }
    proxy.cut();
  }
  for (const events of [first, second]) await events.arrived(7);
  expect(sent.filter(({ method, status }) => method === 'PUT' && status === 201).length).toBeGreaterThanOrEqual(4);
});

test('if the server stays down, the client gives up after the configured number of attempts', async () => {
  const proxy = await openProxy(server.url);
  const { client, sent } = connect({ url: `${proxy.through(server.url)}/graphql/stream`, retryAttempts: 2 });
  const events = subscribe(client, eventsDocument);
  await events.arrived(1);
  await proxy.close();
  expect(await events.ended()).toBeInstanceOf(NetworkError);
  expect(sent.map(({ method }) => method)).toEqual(['PUT', 'GET', 'POST', 'PUT', 'PUT']);
});

test('the client also gives up when it is refused', async () => {
  for (const lazy of [true, false]) {
    const errors: unknown[] = [];
    const { client, sent } = connect({
      headers: () => ({ authorization: 'Bearer x.y.z' }),
      retryAttempts: 2,
      lazy,
      onNonLazyError: (error) => void errors.push(error),
    });
    if (lazy) errors.push(await subscribe(client, query).ended());
    await vi.waitFor(() => expect(errors).toHaveLength(1));
    expect(String(errors[0])).toContain('401');
    expect(sent).toEqual(Array.from({ length: 3 }, () => ({ method: 'PUT', status: 401 })));
  }
});
