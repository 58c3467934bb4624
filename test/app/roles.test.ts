import { beforeAll, expect, test } from 'vitest';
import { createGroup, keyOf, say } from '../support/chat.ts';
import { signUp, type Person } from '../support/client.ts';
import { attend, attendanceTimes, leaseTo, presenceOf, setPresence } from '../support/presence.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { completed, give, openReserved, request, reserve } from '../support/single.ts';
import { envelopeOf, eventOf, eventsDocument, followEvents, matching, openStream } from '../support/stream.ts';

let api: TestServer;
let streams: TestServer;
let ada: Person;
let grace: Person;
beforeAll(async () => {
  api = await startServer({ env: { SERVE: 'api' } });
  streams = await startServer({ database: api.database, env: { SERVE: 'streams' } });
  [ada, grace] = await Promise.all([signUp(api, 'ada'), signUp(api, 'grace')]);
});

const asBrowser = { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' };
const statusOf = async (node: TestServer, path: string, init: RequestInit = {}): Promise<number> => {
  const response = await fetch(node.url + path, init);
  await response.body?.cancel();
  return response.status;
};
const ask = (accept: string, query = '{ __typename }'): RequestInit => ({
  method: 'POST',
  headers: { accept, 'content-type': 'application/json', authorization: `Bearer ${ada.token}` },
  body: JSON.stringify({ query }),
});
const streamTypes = ['text/event-stream', 'multipart/mixed;subscriptionSpec=1.0, application/json'];

test('an API node answers queries and has GraphiQL, but no streams', async () => {
  expect(await statusOf(api, '/graphql', ask('application/json'))).toBe(200);
  expect(await statusOf(api, '/graphql', { headers: asBrowser })).toBe(200);
  for (const accept of streamTypes) expect(await statusOf(api, '/graphql', ask(accept))).toBe(404);
  for (const method of ['GET', 'POST', 'PUT', 'DELETE', 'PATCH']) {
    expect((await request(api, ada, method)).status).toBe(404);
  }
});

test('a stream node streams, but answers nothing else', async () => {
  expect(await statusOf(streams, '/graphql', ask('application/json'))).toBe(404);
  expect(await statusOf(streams, '/graphql', ask('*/*'))).toBe(404);
  expect(await statusOf(streams, '/graphql?query=%7B__typename%7D')).toBe(404);
  expect(await statusOf(streams, '/graphql', { headers: asBrowser })).toBe(404);
  for (const accept of streamTypes) expect(await statusOf(streams, '/graphql', ask(accept))).toBe(200);
  const token = await reserve(streams, ada);
  await using stream = await openReserved(streams, ada, token);
  expect((await give(streams, ada, token, { id: '1', query: '{ __typename }' })).status).toBe(202);
  expect(await stream.until(completed('1'))).toHaveLength(2);
});

test('both report their health, and publish the keys of the tokens that they accept', async () => {
  for (const node of [api, streams]) {
    for (const path of ['/livez', '/readyz', '/.well-known/jwks.json']) expect(await statusOf(node, path)).toBe(200);
  }
});

test('only a stream node listens to the database', async () => {
  const { rows } = await api.sql.query(
    `select from pg_stat_activity where datname = current_database() and application_name = 'parley doorbell'`,
  );
  expect(rows).toHaveLength(1);
});

test('a change made on an API node reaches a stream node, from the cursor that the API node returned', async () => {
  const chatId = await createGroup(ada, [grace]);
  const { viewer } = await grace.ask('{ viewer { eventCursor } }');
  await say(ada, chatId, 'hello');
  await using stream = await openStream(streams, grace, eventsDocument, { variables: { after: viewer.eventCursor } });
  expect((await stream.until('CaughtUp')).map((frame) => eventOf(frame).__typename)).toEqual([
    'NewMessage',
    'CaughtUp',
  ]);
  await say(ada, chatId, 'and live');
  await stream.next(matching({ message: { content: 'and live' } }));
  const now = await grace.ask('{ viewer { eventCursor } }');
  expect(now.viewer.eventCursor).toBe(stream.cursor);
  await using next = await followEvents(streams, grace);
  expect(envelopeOf(next.frames[0] as never).cursor).toBe(stream.cursor);
  expect(await ada.ask('mutation ($chatId: ID!) { startTyping(chatId: $chatId) }', { chatId })).toEqual({
    startTyping: true,
  });
  await stream.next('Typing');
});

test('a node has both roles by default', async () => {
  await using node = await startServer({ database: api.database });
  expect(await statusOf(node, '/graphql', ask('application/json'))).toBe(200);
  expect(await statusOf(node, '/graphql', ask('text/event-stream'))).toBe(200);
  expect(await statusOf(node, '/graphql', { headers: asBrowser })).toBe(200);
  expect((await request(node, ada, 'PUT')).status).toBe(201);
  await expect(startServer({ database: api.database, env: { SERVE: 'api,everything' } })).rejects.toThrow('SERVE');
});

test('an API node shows the users present on the stream nodes, and removes them when the last of those has died', async () => {
  const node = await startServer({ env: { SERVE: 'api' }, overrides: { attendanceTimes } });
  const { database } = node;
  const [asker, here] = await Promise.all([signUp(node, 'ada'), signUp(node, 'grace')]);
  await createGroup(asker, [here]);
  const status = async () => (await presenceOf(here, asker)).status;
  const another = await startServer({ database, env: { SERVE: 'streams' }, overrides: { attendanceTimes } });
  const stream = await attend(another, here);
  await expect.poll(status).toBe('ONLINE');
  expect(await setPresence(here, 'AWAY')).toMatchObject({ status: 'AWAY' });
  await stream.close();
  await expect.poll(status).toBe('OFFLINE');
  await another.close();
  // Simulates a stream node that reports its users once, and then never again.
  await leaseTo(node, 'a node of old', `clock_timestamp() + interval '1 second'`);
  await database.sql.query(
    `select attend('a node of old', array_agg(id), '{}', array[$1]::bigint[]) from sessions where user_id = $1`,
    [keyOf(here.userId)],
  );
  expect(await status()).toBe('ONLINE');
  await expect.poll(status).toBe('OFFLINE');
});
