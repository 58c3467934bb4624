import { createClient } from 'graphql-sse';
import pg from 'pg';
import { beforeAll, expect, test, vi } from 'vitest';
import { openBalancer } from '../../support/balancer.ts';
import { createGroup, insertMessage } from '../../support/chat.ts';
import { signUp, type Data, type Person } from '../../support/client.ts';
import { openProxy } from '../../support/proxy.ts';
import { startServer, type TestServer } from '../../support/server.ts';
import { completed, give, happened, openReserved, reserve, takeBack } from '../../support/single.ts';
import { chatEventsDocument, eventsDocument } from '../../support/stream.ts';
import { holdsStreams, startWithVictim } from '../../support/victim.ts';

let server: TestServer;
let other: TestServer;
let ada: Person;
let grace: Person;
let chatId: string;
beforeAll(async () => {
  server = await startServer();
  other = await startServer({ database: server.database });
  [ada, grace] = await Promise.all([signUp(server, 'ada'), signUp(other, 'grace')]);
  chatId = await createGroup(ada, [grace]);
});

const query = '{ viewer { user { username } } }';
const graceSays = (content: string) => insertMessage(server, chatId, grace, content);

const ways = [0, 1].flatMap((get) => [0, 1].flatMap((post) => [0, 1].map((remove) => ({ get, post, remove }))));

// Every combination of nodes that the requests of a client can reach. PUT always goes to the first node.
test.for(ways)(
  'a client has one stream, with GET on node $get, POST on $post, DELETE on $remove',
  async ({ get, post, remove }) => {
    const nodes = [server, other];
    const on = (node: number) => nodes[node] ?? server;
    const token = await reserve(server, ada);
    expect((await give(on(post), ada, token, { id: 'early', query: eventsDocument })).status).toBe(202);
    await graceSays('before it opened');
    await using stream = await openReserved(on(get), ada, token);
    await stream.next(happened('early', 'NewMessage'));
    await stream.next(happened('early', 'CaughtUp'));
    await expect(openReserved(on(1 - get), ada, token)).rejects.toThrow('409');

    expect((await give(on(post), ada, token, { id: 'early', query })).status).toBe(409);
    expect((await give(on(1 - post), ada, token, { id: 'query', query })).status).toBe(202);
    const [result] = await stream.until(completed('query'));
    expect(result?.data).toEqual({ id: 'query', payload: { data: { viewer: { user: { username: 'ada' } } } } });

    expect((await takeBack(on(remove), ada, token, 'early')).status).toBe(200);
    await stream.next(completed('early'));
    const variables = { chatId };
    expect((await give(on(post), ada, token, { id: 'late', query: chatEventsDocument, variables })).status).toBe(202);
    await stream.next(happened('late', 'CaughtUp'));
    await graceSays('after all');
    const rest = await stream.until(happened('late', 'NewMessage'));
    expect(rest.map(({ data }) => data.id)).toEqual(['late']);

    await stream.close();
    await vi.waitFor(async () => expect((await give(on(post), ada, token, { id: 'x', query })).status).toBe(404));
  },
);

test('a client connects through a balancer that knows nothing about streams', async () => {
  const balancer = await openBalancer([server, other]);
  const client = createClient({
    url: `${balancer.url}/graphql/stream`,
    headers: { authorization: `Bearer ${ada.token}` },
    singleConnection: true,
    retryAttempts: 0,
  });
  for (const round of [1, 2]) {
    const events = client.iterate<Data>({ query: eventsDocument });
    expect((await events.next()).value?.data.events.event).toEqual({ __typename: 'CaughtUp', replayed: 0 });
    for await (const result of client.iterate<Data>({ query })) {
      expect(result).toEqual({ data: { viewer: { user: { username: 'ada' } } } });
    }
    await graceSays(`round ${round}`);
    expect((await events.next()).value?.data.events.event.message.content).toBe(`round ${round}`);
    await events.return?.();
    // Shifts the rotation, so that the next round reaches other nodes.
    balancer.turnTo(round);
    await vi.waitFor(async () => {
      expect((await server.sql.query('select from stream_reservations')).rowCount).toBe(0);
    });
  }
  client.dispose();
  const nodesOf = (method: string) =>
    new Set(balancer.passed.filter((one) => one.method === method).map((one) => one.node));
  expect([...nodesOf('GET'), ...nodesOf('POST')].length).toBeGreaterThanOrEqual(3);
});

test('a client whose node is killed reconnects to another and continues', async () => {
  await using pair = await startWithVictim();
  const { node, victim } = pair;
  const [linus, margaret] = [await signUp(node, 'linus'), await signUp(node, 'margaret')];
  const groupId = await createGroup(linus, [margaret]);
  const balancer = await openBalancer([{ url: await victim.url }, node]);
  // PUT reaches the node that stays, and GET reaches the node that will be killed.
  balancer.turnTo(1);
  const client = createClient({
    url: `${balancer.url}/graphql/stream`,
    headers: { authorization: `Bearer ${linus.token}` },
    singleConnection: true,
    retryAttempts: 20,
    retry: () => new Promise((resolve) => setTimeout(resolve, 20)),
  });
  const variables: { after?: string } = {};
  const results = client.iterate<Data>({ query: eventsDocument, variables });
  const next = async () => {
    const { events } = (await results.next()).value?.data ?? {};
    variables.after = events.cursor;
    return events.event;
  };
  expect((await next()).__typename).toBe('CaughtUp');
  expect(balancer.passed.find(({ method }) => method === 'GET')).toEqual({ method: 'GET', node: 0 });
  await insertMessage(node, groupId, margaret, 'seen');
  expect((await next()).message.content).toBe('seen');

  victim.kill('SIGKILL');
  await victim.ended;
  balancer.passBy(0);
  await insertMessage(node, groupId, margaret, 'missed');
  expect((await next()).message.content).toBe('missed');
  expect(await next()).toEqual({ __typename: 'CaughtUp', replayed: 1 });
  await insertMessage(node, groupId, margaret, 'live');
  expect((await next()).message.content).toBe('live');
  await results.return?.();
  client.dispose();
});

test('an operation runs and is stopped without a notification', async () => {
  const proxy = await openProxy(server.database.url);
  await using deaf = await startServer({
    database: server.database,
    env: { DATABASE_DIRECT_URL: proxy.through(server.database.url) },
  });
  const token = await reserve(deaf, ada);
  await using stream = await openReserved(deaf, ada, token);
  await proxy.close();
  expect((await give(other, ada, token, { id: '1', query: eventsDocument })).status).toBe(202);
  await stream.next(happened('1', 'CaughtUp'));
  await graceSays('nobody rang');
  await stream.next(happened('1', 'NewMessage'));
  expect((await takeBack(server, ada, token, '1')).status).toBe(200);
  await stream.next(completed('1'));
});

test('a LISTEN connection that is cut is restored and receives notifications again', async () => {
  const token = await reserve(server, ada);
  await using stream = await openReserved(server, ada, token);
  const client = new pg.Client({ connectionString: server.database.url });
  await client.connect();
  const { rowCount } = await client.query(
    `select pg_terminate_backend(pid) from pg_stat_activity
    where datname = current_database() and application_name = 'parley doorbell'`,
  );
  await client.end();
  expect(rowCount).toBeGreaterThan(0);
  for (const id of ['1', '2', '3']) {
    expect((await give(other, ada, token, { id, query })).status).toBe(202);
    await stream.next(completed(id));
  }
});

test('a node whose lease was deleted takes it again, and its clients reconnect', async () => {
  await using node = await startServer({ overrides: { attendanceTimes: { beat: 100, expiry: 1_000 } } });
  const linus = await signUp(node, 'linus');
  await using stream = await openReserved(node, linus, await reserve(node, linus));
  await node.sql.query(`delete from leases where ${holdsStreams}`);
  await stream.ended();
  const token = await reserve(node, linus);
  await using again = await openReserved(node, linus, token);
  expect((await give(node, linus, token, { id: '1', query })).status).toBe(202);
  await again.next(completed('1'));
});
