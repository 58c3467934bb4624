import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, expect, onTestFinished, test } from 'vitest';
import type { Report } from '../../src/core/report.ts';
import { LogConsumer, readLags, type LogConsumerOptions } from '../../src/log/consumer.ts';
import { Doorbell } from '../../src/log/doorbell.ts';
import type { LoggedEvent } from '../../src/log/event.ts';
import { pruneEvents } from '../../src/log/retention.ts';
import { connectDatabase, disconnectDatabase, type Db, type Queryable } from '../../src/postgres/client.ts';
import { Leases } from '../../src/postgres/lease.ts';
import type { TestDatabase } from '../support/database.ts';
import { startFaultyPostgres, type FaultyPostgres } from '../support/fault-postgres.ts';
import { openProxy } from '../support/proxy.ts';
import { rounds } from '../support/rounds.ts';

let postgres: FaultyPostgres;
let database: TestDatabase;

beforeAll(async () => {
  postgres = await startFaultyPostgres();
});
afterAll(() => postgres.remove());

beforeEach(async () => {
  database = await postgres.createDatabase();
  onTestFinished(() => database.drop());
  await database.sql.query(`
    create table resets (place bigint generated always as identity, reason text not null);
    create table effects (place bigint generated always as identity, event_id bigint not null);
    insert into users (username, email) values ('ada', 'ada@example.com');
    insert into chats (type, name) values ('PUBLIC_CHANNEL', 'general');
    insert into members (chat_id, user_id, role) select c.id, u.id, 'OWNER' from chats c, users u`);
});

const sendMessages = (count: number) =>
  database.sql.query(
    `insert into messages (chat_id, sender_id, content)
    select m.chat_id, m.user_id, 'hello ' || number from members m, generate_series(1, $1::int) number`,
    [count],
  );

/** Records the events in the consumer's transaction. */
async function note(client: Queryable, events: LoggedEvent[]): Promise<void> {
  await client.query('insert into effects (event_id) select unnest($1::bigint[])', [events.map(({ id }) => id)]);
}

async function listIds(query: string): Promise<string[]> {
  const { rows } = await database.sql.query(query);
  return rows.map(({ id }) => String(id));
}
const listEffects = () => listIds('select event_id as id from effects order by place');
const listEvents = () => listIds('select id from events order by id');

/** Expects that each event had its effect exactly once, in order. */
async function expectAll(): Promise<void> {
  const events = await listEvents();
  await expect
    .poll(async () => (await listEffects()).length, { timeout: 20_000 })
    .toBeGreaterThanOrEqual(events.length);
  expect(await listEffects()).toEqual(events);
}

function connect(url = database.url): Db {
  const db = connectDatabase({ url, maxConnections: 4, statementTimeoutMs: 10_000, onError: () => {} });
  onTestFinished(() => disconnectDatabase(db));
  return db;
}

type Node = { consumer: LogConsumer; reports: string[] };

/** Opens the consumer's instance on one node. */
function openNode(options: Partial<LogConsumerOptions> = {}): Node {
  const db = options.db ?? connect();
  const reports: string[] = [];
  const report: Report = (_, message) => void reports.push(message);
  const consumer = new LogConsumer({
    db,
    leases: new Leases(db),
    report,
    name: 'notes',
    startsAt: 'OLDEST',
    effect: { write: note },
    reset: async () => {},
    ...options,
    times: { poll: 50, maxBackoff: 200, lease: { expiry: 1_000, renewal: 100 }, ...options.times },
  });
  consumer.open();
  onTestFinished(() => consumer.close());
  return { consumer, reports };
}

test('each event has its effect once and in order, on one of two nodes at a time', async () => {
  openNode();
  openNode();
  for (let round = 0; round < 5; round += 1) {
    await sendMessages(70);
    await delay(20);
  }
  await expectAll();
  const { rows } = await database.sql.query('select name from leases');
  expect(rows).toEqual([{ name: 'consumer:notes' }]);
});

test('a consumer of messages gets the ids of those with events of its kinds', async () => {
  await sendMessages(3);
  await database.sql.query(`update messages set content = 'edited' where seq = 2`);
  await database.sql.query(`insert into reactions (chat_id, seq, user_id, emoji)
    select chat_id, 1, user_id, '👍' from members`);
  openNode({
    effect: {
      kinds: ['MessageEdited', 'NewMessage'],
      writeMessages: async (client, ids) => {
        await client.query('insert into effects (event_id) select unnest($1::bigint[])', [ids]);
      },
    },
  });
  const listMessages = () => listIds('select id from messages order by id');
  await expect.poll(listEffects).toEqual(await listMessages());
  await sendMessages(2);
  await expect.poll(listEffects).toEqual(await listMessages());
});

test('a consumer that begins with the newest event skips earlier ones', async () => {
  await sendMessages(5);
  const { consumer } = openNode({ startsAt: 'NEWEST' });
  await expect.poll(async () => (await readLags(connect())).length).toBe(1);
  await sendMessages(3);
  await expect.poll(listEffects).toEqual((await listEvents()).slice(-3));
  await consumer.close();
});

test('when a node is closed, the other takes over immediately', async () => {
  const first = openNode();
  await sendMessages(10);
  await expectAll();
  openNode();
  await first.consumer.close();
  await sendMessages(10);
  await expectAll();
});

test('a node that rests after a full batch is closed immediately', async () => {
  await sendMessages(1);
  const minutes = { usual: 100_000, busy: 100_000, maxBusyMs: 0 };
  const resting = openNode({ batchSize: 1, rest: minutes });
  await expect.poll(async () => (await listEffects()).length).toBe(1);
  await resting.consumer.close();
  openNode();
  await expectAll();
});

test('when a node dies in the middle of a transaction, another node repeats the transaction', async () => {
  await sendMessages(10);
  const proxy = await openProxy(database.url);
  const working = Promise.withResolvers<void>();
  openNode({
    db: connect(proxy.through(database.url)),
    effect: {
      write: async (client, events) => {
        await note(client, events);
        working.resolve();
        await new Promise(() => {});
      },
    },
  }).consumer.close = async () => {};
  await working.promise;
  expect(await listEffects()).toEqual([]);
  openNode();
  await proxy.close();
  await expectAll();
});

test('a node that was taken for dead can no longer write', async () => {
  await sendMessages(10);
  const paused = Promise.withResolvers<void>();
  const resume = Promise.withResolvers<void>();
  const first = openNode({
    effect: {
      send: async (event) => {
        if (event.id === firstId) {
          paused.resolve();
          await resume.promise;
        }
        await database.sql.query('insert into effects (event_id) values ($1)', [event.id]);
      },
    },
  });
  const firstId = BigInt((await listEvents())[0] ?? 0);
  await paused.promise;
  await database.sql.query('delete from leases');
  openNode();
  await expectAll();
  resume.resolve();
  await expect.poll(() => first.reports).not.toEqual([]);
  const { rows } = await database.sql.query('select position from log_consumers');
  expect(String(rows[0].position)).toBe((await listEvents()).at(-1));
});

test('an effect outside the database happens at least once, and any repetition has the same id', async () => {
  await sendMessages(3);
  const sent: string[] = [];
  let failures = 2;
  const { consumer } = openNode({
    effect: {
      send: async (event, { idempotencyId }) => {
        sent.push(idempotencyId);
        if (event.kind === 'NewMessage' && (failures -= 1) >= 0) throw new Error('the mail server is busy');
      },
    },
  });
  const events = await listEvents();
  await expect.poll(async () => (await readLags(connect()))[0]?.events).toBe(0);
  await consumer.close();
  const distinct = [...new Set(sent)];
  expect(distinct.map((id) => id.split('.').at(-1))).toEqual(events);
  expect(sent.length).toBe(events.length + 2);
  expect(distinct[0]).toMatch(/^notes:[0-9a-f]{12}\.\d+$/);
});

test('an event that fails is retried, and no later one overtakes it', async () => {
  await sendMessages(20);
  const events = await listEvents();
  const bad = BigInt(events[12] ?? 0);
  let isBroken = true;
  const { reports } = openNode({
    effect: {
      write: async (client, batch) => {
        if (isBroken && batch.some(({ id }) => id === bad)) throw new Error('no such template');
        await note(client, batch);
      },
    },
  });
  await expect.poll(listEffects).toEqual(events.slice(0, 12));
  const [lag] = await readLags(connect());
  expect(lag?.events).toBe(events.length - 12);
  expect(lag?.seconds).toBeGreaterThan(0);
  isBroken = false;
  await expectAll();
  expect(reports).toContain('an event log consumer failed and will retry');
});

test('the consumer continues after a restart of the database', async () => {
  openNode();
  await sendMessages(10);
  await expectAll();
  await postgres.end('SIGQUIT');
  await delay(200);
  await postgres.resume();
  await sendMessages(10);
  await expectAll();
});

test('the consumer continues when the response to its commit is lost', async () => {
  const proxy = await openProxy(database.url);
  openNode({ db: connect(proxy.through(database.url)) });
  for (let round = 0; round < rounds(8, 20); round += 1) {
    await sendMessages(20);
    await delay(10);
    proxy.cut();
  }
  await expectAll();
});

test('after a gap in the log, the consumer starts over at its end', async () => {
  const first = openNode();
  await sendMessages(5);
  await expectAll();
  await first.consumer.close();
  await sendMessages(5);
  await delay(5);
  expect(await pruneEvents(connect().pool, 1, 1_000)).toBeGreaterThan(0);
  // Both statements run in the transaction of the reset. A reason therefore appears only once, and only if the earlier
  // effects are deleted.
  const reset: LogConsumerOptions['reset'] = async (client, reason) => {
    await client.query('insert into resets (reason) values ($1)', [reason]);
    await client.query('delete from effects');
  };
  const listReasons = () => listIds('select reason as id from resets order by place');
  const second = openNode({ reset });
  await expect.poll(listReasons).toEqual(['PRUNED']);
  await sendMessages(5);
  await expectAll();
  await second.consumer.close();

  await database.sql.query(`update log_consumers set epoch = 'ffffffffffff'`);
  await database.sql.query('delete from effects');
  openNode({ reset });
  await expect.poll(listReasons).toEqual(['PRUNED', 'ANOTHER_HISTORY']);
});

test('the doorbell wakes the consumer, and without a doorbell it polls', async () => {
  const { consumer } = openNode({ times: { poll: 60_000 } });
  await sendMessages(1);
  const doorbell = new Doorbell({
    url: database.url,
    handlers: { parley_events: () => consumer.ring() },
    onChange: () => consumer.ring(),
    report: () => {},
  });
  onTestFinished(() => doorbell.close());
  await doorbell.open();
  await expectAll();
  const since = performance.now();
  await sendMessages(1);
  await expectAll();
  expect(performance.now() - since).toBeLessThan(5_000);
  await doorbell.close();
  await consumer.close();

  openNode({ times: { poll: 100 } });
  await sendMessages(1);
  await expectAll();
});
