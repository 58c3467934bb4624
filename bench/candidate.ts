import { join } from 'node:path';
import { pino } from 'pino';
import { applyMigrations } from '../src/postgres/migration.ts';
import { publicKeySet } from '../src/account/token-key.ts';
import { encodeId } from '../src/core/id.ts';
import { addGroup, addPeople, type Database, type Person, type Postgres } from './database.ts';
import type { Crowd } from './load.ts';
import { startServer } from './process.ts';
import type { Sender } from './sender.ts';
import { keys, signToken, startParley } from './server.ts';

/** How many users send at the same time. */
export const senderCount = 64;
/** How many chats they send to. */
export const chatCount = 50;

/**
 * A server with its senders and, except for PostGraphile, one subscriber in each chat. Each successful response
 * contains `acknowledged`.
 */
export type Candidate = {
  name: string;
  pid: number;
  port: number;
  query: string;
  acknowledged: string;
  senders: Sender[];
  crowd: Crowd | null;
  stop: () => Promise<void>;
};

/** This server, started as in production. */
export async function prepareParley(postgres: Postgres, profileFolder: string | undefined): Promise<Candidate> {
  const server = await startParley(postgres, { profileFolder });
  const { senders, readers, chats } = await fill(server.database);
  const { tokens = [] } = await server.admit(senders);
  return {
    name: 'parley',
    pid: server.pid,
    port: server.port,
    query: `mutation Send($chatId: ID!, $content: String!) {
      sendMessage(input: { chatId: $chatId, content: $content }) {
        __typename
        ... on Message { id seq content createdAt sender { id username } }
        ... on Error { message }
      }
    }`,
    acknowledged: '"__typename":"Message"',
    senders: senders.map((_, index) => ({
      token: tokens[index] ?? '',
      chatId: encodeId('Chat', BigInt(chats[index % chatCount] ?? 0)),
    })),
    crowd: await server.admit(readers),
    stop: server.stop,
  };
}

/** A stack that you could write yourself, on the same tables but without parley's triggers. */
export async function prepareHandWritten(postgres: Postgres): Promise<Candidate> {
  const database = await createMigrated(postgres);
  const { senders, readers, chats } = await fill(database);
  await dropTriggers(database);
  const server = await startServer('bench/peers/hand-written.ts', {
    settings: { DATABASE_URL: database.url, PUBLIC_KEYS: JSON.stringify(publicKeySet(keys)) },
  });
  const port = Number(new URL(server.url).port);
  const tokens = await Promise.all(senders.map(signToken));
  return {
    name: 'hand-written',
    pid: server.pid,
    port,
    query: `mutation Send($chatId: ID!, $content: String!) {
      sendMessage(chatId: $chatId, content: $content) { id seq content createdAt sender { id username } }
    }`,
    acknowledged: '"sendMessage":{"id"',
    senders: senders.map((_, index) => ({ token: tokens[index] ?? '', chatId: chats[index % chatCount] ?? '' })),
    crowd: {
      port,
      path: '/graphql',
      count: readers.length,
      tokens: await Promise.all(readers.map(signToken)),
      sendsCaughtUp: false,
      isUnordered: true,
    },
    stop: server.stop,
  };
}

/**
 * PostGraphile on the same tables, including their triggers. It has no subscribers and does not authenticate senders.
 */
export async function preparePostgraphile(postgres: Postgres): Promise<Candidate> {
  const database = await createMigrated(postgres);
  const { senders, chats } = await fill(database);
  // PostGraphile's input types mirror the columns, so `seq`, which a trigger fills in, must be nullable.
  await database.sql.query('alter table messages alter column seq drop not null');
  const server = await startServer('bench/peers/postgraphile.ts', { settings: { DATABASE_URL: database.url } });
  return {
    name: 'postgraphile',
    pid: server.pid,
    port: Number(new URL(server.url).port),
    query: `mutation Send($chatId: BigInt!, $content: String!) {
      createMessage(input: { message: { chatId: $chatId, senderId: "${senders[0]?.userId}", content: $content } }) {
        message { seq content createdAt userBySenderId { username } }
      }
    }`,
    acknowledged: '"message":{"seq"',
    senders: senders.map((_, index) => ({ token: 'none', chatId: chats[index % chatCount] ?? '' })),
    crowd: null,
    stop: server.stop,
  };
}

async function fill(database: Database): Promise<{ senders: Person[]; readers: Person[]; chats: string[] }> {
  const people = await addPeople(database, senderCount + chatCount);
  const senders = people.slice(0, senderCount);
  const readers = people.slice(senderCount);
  const chats: string[] = [];
  for (const [index, reader] of readers.entries()) {
    chats.push(await addGroup(database, [reader, ...senders.filter((_, at) => at % chatCount === index)]));
  }
  return { senders, readers, chats };
}

async function createMigrated(postgres: Postgres): Promise<Database> {
  const database = await postgres.createDatabase();
  await applyMigrations(database.url, join(import.meta.dirname, '../prisma/migrations'), pino({ level: 'silent' }));
  return database;
}

async function dropTriggers({ sql }: Database): Promise<void> {
  const { rows } = await sql.query<{ statement: string }>(
    `select format('drop trigger %I on %s', tgname, tgrelid::regclass) as statement from pg_trigger
    where not tgisinternal`,
  );
  for (const { statement } of rows) await sql.query(statement);
}
