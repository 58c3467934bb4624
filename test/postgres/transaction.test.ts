import { beforeAll, expect, test } from 'vitest';
import type { Asker } from '../../src/core/asker.ts';
import {
  connectDatabase,
  disconnectDatabase,
  inTransaction,
  type Db,
  type Queryable,
} from '../../src/postgres/client.ts';
import { createDatabase } from '../support/database.ts';
import { atFileEnd } from '../support/file-end.ts';

const maxConnections = 3;

let db: Db;
beforeAll(async () => {
  const { url, drop } = await createDatabase();
  db = connectDatabase({ url, maxConnections, statementTimeoutMs: 10_000, onError: () => {} });
  atFileEnd(async () => {
    await disconnectDatabase(db);
    await drop();
  });
});

const insert = 'insert into chats (type, name) values ($1, $2)';
const namesLike = async (beginning: string): Promise<(string | null)[]> => {
  const chats = await db.prisma.chat.findMany({ where: { name: { startsWith: beginning } }, orderBy: { name: 'asc' } });
  return chats.map(({ name }) => name);
};

test('SQL and Prisma see each other’s rows in a transaction, and no one else sees them before its commit', async () => {
  await inTransaction(db, async ({ query, prisma }) => {
    await query(insert, ['GROUP', 'kept by SQL']);
    await prisma.chat.create({ data: { type: 'GROUP', name: 'kept by Prisma' } });
    expect(await prisma.chat.count({ where: { name: { startsWith: 'kept' } } })).toBe(2);
    expect((await query(`select from chats where name like 'kept%'`)).rowCount).toBe(2);
    expect(await namesLike('kept')).toEqual([]);
  });
  expect(await namesLike('kept')).toEqual(['kept by Prisma', 'kept by SQL']);
});

test('an error rolls both back, and is thrown unchanged', async () => {
  const fault = new Error('not today');
  const work = inTransaction(db, async ({ query, prisma }) => {
    await query(insert, ['GROUP', 'lost by SQL']);
    await prisma.chat.create({ data: { type: 'GROUP', name: 'lost by Prisma' } });
    throw fault;
  });
  await expect(work).rejects.toBe(fault);
  expect(await namesLike('lost')).toEqual([]);
});

test('a transaction names its actor to the triggers until it ends, with Prisma and without', async () => {
  const actor: Asker = { kind: 'SESSION', userId: 7n, sessionId: 1n, expiresAt: new Date() };
  const read = async (client: Queryable) =>
    (await client.query<{ actor: string | null }>('select audit_actor()::text as actor')).rows[0]?.actor;
  expect(await inTransaction(db, read, actor)).toBe('7');
  expect(await inTransaction({ pool: db.pool }, read, actor)).toBe('7');
  await expect(inTransaction(db, () => Promise.reject(new Error('not today')), actor)).rejects.toThrow('not today');
  // There are more transactions than connections, so these transactions also reuse the connections from above.
  const later = Array.from({ length: maxConnections * 3 }, (_, index) =>
    index % 2 === 0 ? inTransaction(db, read) : inTransaction({ pool: db.pool }, read),
  );
  expect(new Set(await Promise.all(later))).toEqual(new Set([null]));
});

test('transactions that wait for a connection each get their own, and release it', async () => {
  const backends = await Promise.all(
    Array.from({ length: maxConnections * 5 }, (_, index) =>
      inTransaction(db, async ({ query, prisma }) => {
        const { rows } = await query<{ id: string; pid: number }>(
          'select pg_current_xact_id()::text as id, pg_backend_pid() as pid',
        );
        await prisma.chat.create({ data: { type: 'GROUP', name: `crowd ${index}` } });
        // Both statements run in the same transaction, however many others run at the same time.
        const ofPrisma = await prisma.$queryRaw`select pg_current_xact_id()::text as id, pg_backend_pid() as pid`;
        expect(ofPrisma).toEqual(rows);
        return rows[0]?.id;
      }),
    ),
  );
  expect(new Set(backends).size).toBe(backends.length);
  expect(db.pool.totalCount).toBeLessThanOrEqual(maxConnections);
  expect(db.pool.idleCount).toBe(db.pool.totalCount);
});

test('a connection that breaks inside a transaction is not used again', async () => {
  const work = inTransaction(db, async ({ query, prisma }) => {
    const { rows } = await query<{ pid: number }>('select pg_backend_pid() as pid');
    await db.pool.query('select pg_terminate_backend($1)', [rows[0]?.pid]);
    await prisma.chat.count();
  });
  await expect(work).rejects.toThrow(/terminat|connection/i);
  await Promise.all(
    Array.from({ length: maxConnections * 3 }, () => inTransaction(db, ({ prisma }) => prisma.chat.count())),
  );
});
