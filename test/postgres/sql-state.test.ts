import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { NotFound } from '../../src/errors.ts';
import { connectDatabase, disconnectDatabase, inTransaction, type Db } from '../../src/postgres/client.ts';
import { orGone } from '../../src/postgres/foreign-key.ts';
import { constraintOf, sqlStateOf } from '../../src/postgres/sql-state.ts';
import { isTransient, isUndone } from '../../src/postgres/transient.ts';
import type { TestDatabase } from '../support/database.ts';
import { startFaultyPostgres, type FaultyPostgres } from '../support/fault-postgres.ts';

let postgres: FaultyPostgres;
let database: TestDatabase;
let db: Db;
beforeAll(async () => {
  postgres = await startFaultyPostgres();
  database = await postgres.createDatabase();
  db = connectDatabase({ url: database.url, maxConnections: 4, statementTimeoutMs: 10_000, onError: () => {} });
});
afterAll(async () => {
  await disconnectDatabase(db);
  await postgres.remove();
});

type Send = (statement: string) => Promise<unknown>;

/** Every way in which this code sends a statement to the database. */
const ways: Record<string, Send> = {
  pg: (statement) => db.pool.query(statement),
  Prisma: (statement) => db.prisma.$executeRawUnsafe(statement),
  'pg in a transaction': (statement) => inTransaction(db, ({ query }) => query(statement)),
  'Prisma in a transaction': (statement) => inTransaction(db, ({ prisma }) => prisma.$executeRawUnsafe(statement)),
  'pg in a transaction without Prisma': (statement) =>
    inTransaction({ pool: db.pool }, (client) => client.query(statement)),
};
const names = Object.keys(ways);

/** Returns the error that `work` throws. */
async function failureOf(work: Promise<unknown>): Promise<unknown> {
  const failure = await work.then(
    () => null,
    (error: unknown) => error,
  );
  expect(failure).toBeInstanceOf(Error);
  return failure;
}

const send = (way: string, statement: string) => (ways[way] as Send)(statement);

async function createUser(name: string): Promise<bigint> {
  const { rows } = await db.pool.query<{ id: bigint }>(
    'insert into users (username, email) values ($1, $2) returning id',
    [name, `${name}@example.com`],
  );
  return rows[0]?.id ?? 0n;
}

async function createChat(): Promise<bigint> {
  const { id } = await db.prisma.chat.create({ data: { type: 'GROUP' } });
  return id;
}

test.each(names)(
  '%s: an error from PostgreSQL carries its code and its constraint, and nothing has changed',
  async (way) => {
    const failure = await failureOf(send(way, 'insert into members (chat_id, user_id) values (999999, 999999)'));
    expect(sqlStateOf(failure)).toBe('23503');
    expect(isTransient(failure)).toBe(false);
    expect(isUndone(failure)).toBe(true);
    expect(sqlStateOf(await failureOf(send(way, 'select 1 / 0')))).toBe('22012');
  },
);

test('the parameters of a Prisma statement are not in its error', async () => {
  const username = 'a name that no log may hold';
  const credentials = { create: { passwordHash: 'secret hash' } };
  const failure = await failureOf(db.prisma.user.create({ data: { username, email: '', credentials } }));
  expect(sqlStateOf(failure)).toBe('23514');
  expect((failure as Error).message).not.toMatch(/a name that no log|secret hash/);
});

test('a user who is deleted between a read and an insert is NotFound, by SQL and by Prisma', async () => {
  const chatId = await createChat();
  const bySql = (userId: bigint): Promise<unknown> =>
    db.pool.query('insert into members (chat_id, user_id) values ($1, $2)', [chatId, userId]);
  const byPrisma = async (userId: bigint): Promise<unknown> => db.prisma.member.create({ data: { chatId, userId } });
  for (const [name, insert] of Object.entries({ bySql, byPrisma })) {
    const userId = await createUser(name);
    const deletion = await db.pool.connect();
    await deletion.query('begin');
    await deletion.query('delete from users where id = $1', [userId]);
    // The insert waits for the deletion, which has locked the row.
    const inserting = failureOf(orGone(insert(userId), ['members_user_id_fkey']));
    await expect
      .poll(async () => (await database.sql.query('select from pg_locks where not granted')).rowCount)
      .toBeGreaterThan(0);
    await deletion.query('commit');
    deletion.release();
    expect(await inserting).toBeInstanceOf(NotFound);
    const other = await failureOf(orGone(insert(userId), ['another_fkey']));
    expect(other).not.toBeInstanceOf(NotFound);
    expect(constraintOf(other)).toBe('members_user_id_fkey');
  }
});

test.each(names)('%s: a connection that PostgreSQL ends is a transient fault', async (way) => {
  const statement = `select pg_sleep(60) /* ${way} */`;
  const ending = failureOf(send(way, statement));
  const end = `select pg_terminate_backend(pid) from pg_stat_activity where query = $1`;
  await expect.poll(async () => (await database.sql.query(end, [statement])).rowCount).toBe(1);
  const failure = await ending;
  expect(isTransient(failure)).toBe(true);
  expect(isUndone(failure)).toBe(false);
});

test.each(names)('%s: a lock timeout is recognized', async (way) => {
  const holder = await database.sql.connect();
  onTestFinished(() => holder.release(true));
  await holder.query('begin; lock table pins in access exclusive mode');
  const waiting = "do $$ begin set local lock_timeout = '20ms'; perform 1 from pins; end $$";
  const failure = await failureOf(send(way, waiting));
  expect(sqlStateOf(failure)).toBe('55P03');
});

test('a database that is stopped is a transient fault in every way, until it is back', async () => {
  await Promise.all(names.map((way) => send(way, 'select 1')));
  await postgres.end('SIGINT');
  for (const way of names) {
    const failure = await failureOf(send(way, 'select 1'));
    expect([way, isTransient(failure), isUndone(failure)]).toEqual([way, true, false]);
  }
  const reading = await failureOf(db.prisma.user.findFirst());
  expect([sqlStateOf(reading), isTransient(reading)]).toEqual([null, true]);
  await postgres.resume();
  for (const way of names) await expect.poll(() => send(way, 'select 1')).toBeDefined();
});
