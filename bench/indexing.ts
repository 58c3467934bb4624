import process from 'node:process';
import { connectDatabase, disconnectDatabase, type Db } from '../src/postgres/client.ts';
import { Leases } from '../src/postgres/lease.ts';
import { openSearchIndex } from '../src/search/search-index.ts';
import type { Report } from './bench.ts';
import { addGroup, addPeople, post, whenIndexed, type Database, type Postgres } from './database.ts';
import { familyCpuMs } from './process.ts';

const chatCount = 50;
/** The number of messages that a chat gets in one commit, to simulate load. */
const perCommit = 8;

/**
 * Measures what the search index costs for each message that is sent: CPU time, and the amount of WAL that PostgreSQL
 * writes.
 */
export async function measureIndexing(postgres: Postgres, database: Database, messageCount: number): Promise<Report> {
  const chats = await createChats(database);
  const db = connectDatabase({
    url: database.url,
    maxConnections: 4,
    statementTimeoutMs: 60_000,
    onError: () => undefined,
  });
  // This run compiles the code and fills the caches.
  await send(database, chats, messageCount / 5);
  await fillIndex(database, db);
  await send(database, chats, messageCount);
  await database.sql.query('vacuum analyze');
  await database.sql.query('checkpoint');
  const before = { node: process.cpuUsage(), postgres: familyCpuMs(postgres.pid), wal: await readWal(database) };
  await fillIndex(database, db);
  const { user, system } = process.cpuUsage(before.node);
  const perMessage = (value: number) => (value / messageCount).toFixed(1);
  const row = [
    perMessage(user + system),
    perMessage((familyCpuMs(postgres.pid) - before.postgres) * 1_000),
    perMessage((await readWal(database)) - before.wal),
  ];
  await disconnectDatabase(db);
  return {
    title: `Indexing ${messageCount.toLocaleString('en')} messages`,
    columns: ['server CPU µs each', 'database CPU µs each', 'WAL bytes each'],
    rows: [row],
    notes: ['Messages of 73 bytes, indexed after they were sent.'],
    goals: [],
  };
}

/** Runs the indexer until the index contains everything. */
async function fillIndex(database: Database, db: Db): Promise<void> {
  await using started = new AsyncDisposableStack();
  openSearchIndex({ db, leases: new Leases(db), report: () => undefined, started });
  await whenIndexed(database);
}

type Place = { chatId: string; senderId: string };

async function createChats(database: Database): Promise<Place[]> {
  const people = await addPeople(database, chatCount * 2);
  const chats: Place[] = [];
  for (let index = 0; index < chatCount; index += 1) {
    const members = people.slice(index * 2, index * 2 + 2);
    chats.push({ chatId: await addGroup(database, members), senderId: members[0]?.userId ?? '' });
  }
  return chats;
}

async function send(database: Database, chats: readonly Place[], messageCount: number): Promise<void> {
  for (let sent = 0; sent < messageCount; sent += perCommit) {
    const place = chats[(sent / perCommit) % chatCount];
    if (place !== undefined) await post(database, place, perCommit);
  }
}

async function readWal({ sql }: Database): Promise<number> {
  const { rows } = await sql.query<{ bytes: number }>(`select (pg_current_wal_insert_lsn() - '0/0')::float8 as bytes`);
  return rows[0]?.bytes ?? 0;
}
