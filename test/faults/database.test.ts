import { beforeAll, expect, onTestFinished, test, vi } from 'vitest';
import { startConversation, trySend } from '../support/conversation.ts';
import type { TestDatabase } from '../support/database.ts';
import { databaseAt, startOn } from '../support/fault-database.ts';
import { startFaultyPostgres, type FaultyPostgres } from '../support/fault-postgres.ts';
import { atFileEnd } from '../support/file-end.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { followEvents, matching } from '../support/stream.ts';

// A busy machine takes a while to stop and start databases.
vi.setConfig({ testTimeout: 90_000, hookTimeout: 60_000 });

let postgres: FaultyPostgres;
beforeAll(async () => {
  postgres = await startFaultyPostgres({ max_notify_queue_pages: '64' });
});
atFileEnd(() => postgres.remove());

async function createDatabase(): Promise<TestDatabase> {
  const database = await postgres.createDatabase();
  onTestFinished(database.drop);
  return database;
}

const nameOf = ({ url }: TestDatabase) => new URL(url).pathname.slice(1);

const readyz = async (server: TestServer) => (await fetch(`${server.url}/readyz`)).status;

test('a database that is not UTF8 is refused before anything in it is changed', async () => {
  await postgres.run(`create database ascii encoding 'SQL_ASCII' template template0 locale_provider libc locale 'C'`);
  const database = databaseAt(postgres.urlOf('ascii'));
  await expect(startServer({ database })).rejects.toThrow(/has the encoding SQL_ASCII, but parley needs UTF8/);
  const { rows } = await database.sql.query('select from pg_tables where schemaname = $1', ['public']);
  expect(rows).toEqual([]);
});

test('with fewer connections than the size of the pool, requests wait for a free one', async () => {
  await postgres.run(`create role few login password 'few' connection limit 4`);
  await postgres.run('create database few owner few template template0');
  const url = new URL(postgres.urlOf('few'));
  url.username = 'few';
  url.password = 'few';
  const server = await startOn(databaseAt(url.href));
  const { ada, grace, chatId } = await startConversation(server);
  await using stream = await followEvents(server, grace);
  const answers = await Promise.all(
    Array.from({ length: 60 }, (_, n) =>
      n % 2 === 0
        ? trySend(ada, chatId, `message ${n}`)
        : grace.ask(
            '{ viewer { chats(first: 5) { edges { node { id messages(last: 5) { edges { node { seq } } } } } } } }',
          ),
    ),
  );
  expect(answers.filter((answer) => JSON.stringify(answer).includes('"code"'))).toEqual([]);
  await stream.next(matching({ message: { seq: 30 } }));
  expect(stream.end).toBeNull();
});

test('while a primary is read-only the node is not ready, and it accepts writes again as soon as the primary does', async () => {
  const database = await createDatabase();
  const server = await startOn(database);
  const { ada, chatId } = await startConversation(server);
  const name = nameOf(database);
  await postgres.run(`alter database ${name} set default_transaction_read_only = on`);
  await postgres.run(`select pg_terminate_backend(pid) from pg_stat_activity where datname = '${name}'`);
  await expect.poll(() => readyz(server), { timeout: 5_000 }).toBe(503);
  expect(await trySend(ada, chatId, 'refused')).toMatchObject({ errors: [{ extensions: { code: 'INTERNAL' } }] });
  await postgres.run(`alter database ${name} reset default_transaction_read_only`);
  await expect.poll(() => readyz(server), { timeout: 5_000 }).toBe(200);
  for (let n = 1; n <= 20; n += 1) {
    expect(await trySend(ada, chatId, `message ${n}`)).toMatchObject({ data: { sendMessage: { seq: n } } });
  }
});
