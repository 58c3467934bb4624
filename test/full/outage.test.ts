import { beforeAll, expect, test } from 'vitest';
import { createGroup, insertMessage } from '../support/chat.ts';
import { signUp, type Person } from '../support/client.ts';
import { type FaultyPostgres, startFaultyPostgres } from '../support/fault-postgres.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { eventOf, eventsDocument, followEvents, matching, openStream } from '../support/stream.ts';
import { atFileEnd } from '../support/file-end.ts';

let postgres: FaultyPostgres;
let server: TestServer;
let ada: Person;
let grace: Person;
beforeAll(async () => {
  postgres = await startFaultyPostgres();
  server = await startServer({ database: await postgres.createDatabase() });
  [ada, grace] = await Promise.all([signUp(server, 'ada'), signUp(server, 'grace')]);
});
atFileEnd(async () => {
  await server.close();
  await server.database.drop();
  await postgres.remove();
});

const isReady = async () => (await fetch(`${server.url}/readyz`)).status;

test('open streams survive a restart of PostgreSQL, and miss nothing that was written around it', async () => {
  const chat = await createGroup(ada, [grace]);
  await using everything = await followEvents(server, grace);
  await using anothers = await followEvents(server, ada);
  await insertMessage(server, chat, ada, 'before');
  await Promise.all([everything.next('NewMessage'), anothers.next('NewMessage')]);

  await postgres.end('SIGINT');
  await expect.poll(isReady, { timeout: 10_000 }).toBe(503);
  await postgres.resume();
  await insertMessage(server, chat, ada, 'first thing after');
  await insertMessage(server, chat, ada, 'second thing after');
  for (const stream of [everything, anothers]) {
    const frames = await stream.until(matching({ message: { content: 'second thing after' } }));
    expect(frames.map((frame) => eventOf(frame).message.content)).toEqual(['first thing after', 'second thing after']);
    expect(stream.end).toBeNull();
  }
  await expect.poll(isReady, { timeout: 10_000 }).toBe(200);
});

test('a stream that loses PostgreSQL while it catches up continues when PostgreSQL is back', async () => {
  const chat = await createGroup(ada, [grace]);
  const { eventCursor } = (await grace.ask('{ viewer { eventCursor } }')).viewer;
  await insertMessage(server, chat, ada, 'before');
  await using late = await openStream(server, grace, eventsDocument, { variables: { after: eventCursor } });
  await postgres.end('SIGINT');
  await postgres.resume();
  await insertMessage(server, chat, ada, 'after');
  const frames = await late.until(matching({ message: { content: 'after' } }));
  const contents = frames.flatMap((frame) => eventOf(frame)?.message?.content ?? []);
  expect(contents).toEqual(['before', 'after']);
});

test('a LISTEN connection that is cut is restored, and events keep arriving without delay', async () => {
  const chat = await createGroup(ada, [grace]);
  await using stream = await followEvents(server, grace);
  const findDoorbell = async () => {
    const { rows } = await server.sql.query(
      `select pid from pg_stat_activity where application_name = 'parley doorbell' and datname = current_database()`,
    );
    return rows[0]?.pid;
  };
  // The tests above may have left this connection reconnecting, which would delay events, so the test waits until the
  // connection is back.
  await expect.poll(findDoorbell, { timeout: 10_000 }).toEqual(expect.any(Number));
  const first = await findDoorbell();
  await server.sql.query('select pg_terminate_backend($1)', [first]);
  await insertMessage(server, chat, ada, 'in between');
  expect(eventOf(await stream.next())).toMatchObject({ message: { content: 'in between' } });
  await expect.poll(findDoorbell, { timeout: 10_000 }).not.toBeOneOf([first, undefined]);
  await insertMessage(server, chat, ada, 'and then');
  expect(eventOf(await stream.next())).toMatchObject({ message: { content: 'and then' } });
});

test('all connections of the server can be ended at the same time, and nothing is missed', async () => {
  const chat = await createGroup(ada, [grace]);
  await using stream = await followEvents(server, grace);
  for (const round of [1, 2, 3]) {
    await insertMessage(server, chat, ada, `message ${2 * round - 1}`);
    await server.sql.query(
      `select pg_terminate_backend(pid) from pg_stat_activity
      where application_name like 'parley%' and datname = current_database()`,
    );
    await insertMessage(server, chat, ada, `message ${2 * round}`);
  }
  const frames = await stream.until(matching({ message: { content: 'message 6' } }));
  expect(frames.map((frame) => eventOf(frame).message.seq)).toEqual([1, 2, 3, 4, 5, 6]);
});
