import { beforeAll, expect, onTestFinished, test, vi } from 'vitest';
import pg from 'pg';
import { startConversation, trySend } from '../support/conversation.ts';
import type { TestDatabase } from '../support/database.ts';
import { databaseAt, startOn } from '../support/fault-database.ts';
import { startFaultyPostgres, type FaultyPostgres } from '../support/fault-postgres.ts';
import { atFileEnd } from '../support/file-end.ts';
import { complaintsOf } from '../support/server.ts';
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

test('a full notification queue loses no message, and drains without help', async () => {
  const database = await createDatabase();
  const server = await startOn(database);
  const { ada, grace, chatId } = await startConversation(server);
  await using stream = await followEvents(server, grace);
  const stuck = new pg.Client({ connectionString: postgres.urlOf('postgres') });
  await stuck.connect();
  await stuck.query('listen jobs');
  await stuck.query('begin; select 1');
  const writer = new pg.Client({ connectionString: postgres.urlOf('postgres') });
  await writer.connect();
  const fill = async () => {
    for (let n = 0; n < 500; n += 1) await writer.query(`select pg_notify('jobs', repeat('x', 7900) || ${n})`);
  };
  await expect(fill()).rejects.toThrow('too many notifications');
  await writer.end();

  expect(await trySend(ada, chatId, 'without a ring')).toMatchObject({ data: { sendMessage: { seq: 1 } } });
  await stream.next(matching({ message: { content: 'without a ring' } }));
  await stuck.end();
  expect(await trySend(ada, chatId, 'with one')).toMatchObject({ data: { sendMessage: { seq: 2 } } });
  await stream.next(matching({ message: { content: 'with one' } }));
  await postgres.run(`select pg_notify('jobs', repeat('x', 7900))`);
});

/** Each of these settings could change what statements mean, or whether they run. */
const hostileSettings = {
  array_nulls: 'off',
  backslash_quote: 'off',
  bytea_output: 'escape',
  client_encoding: 'LATIN1',
  datestyle: 'German, DMY',
  default_text_search_config: 'german',
  default_transaction_deferrable: 'on',
  default_transaction_isolation: 'serializable',
  default_transaction_read_only: 'on',
  escape_string_warning: 'off',
  exit_on_error: 'on',
  extra_float_digits: '-15',
  gin_fuzzy_search_limit: '1',
  idle_in_transaction_session_timeout: '1s',
  idle_session_timeout: '1s',
  intervalstyle: 'sql_standard',
  jit: 'on',
  lc_messages: 'C',
  lc_monetary: 'C',
  lock_timeout: '1s',
  plan_cache_mode: 'force_generic_plan',
  quote_all_identifiers: 'on',
  row_security: 'off',
  search_path: 'pg_catalog',
  session_replication_role: 'replica',
  standard_conforming_strings: 'off',
  statement_timeout: '1s',
  synchronous_commit: 'off',
  timezone: 'Asia/Kolkata',
  transaction_timeout: '1s',
  transform_null_equals: 'on',
  xmloption: 'document',
};

test('everything works as usual, whatever the defaults of the database are', async () => {
  await postgres.run('create database hostile template template0');
  const set = (name: string, value: string) => postgres.run(`alter database hostile set ${name} = '${value}'`);
  for (const [name, value] of Object.entries(hostileSettings)) await set(name, value);
  const server = await startOn(databaseAt(postgres.urlOf('hostile')));
  const { ada, grace, chatId } = await startConversation(server);
  await using stream = await followEvents(server, grace);
  const said = `C:\\new 'quoted' 👋 Привет`;
  const { data } = await trySend(ada, chatId, said);
  expect(Math.abs(Date.parse(data.sendMessage.createdAt) - Date.now())).toBeLessThan(60_000);
  await stream.next(matching({ message: { content: said } }));
  const read = await grace.ask(
    'query ($id: ID!) { chat(id: $id) { messages(last: 1) { edges { node { content } } } } }',
    {
      id: chatId,
    },
  );
  expect(read.chat.messages.edges).toEqual([{ node: { content: said } }]);
  expect(complaintsOf(server)).toEqual([]);
});
