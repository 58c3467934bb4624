import type pg from 'pg';
import { expect, test } from 'vitest';
import { createGroup, keyOf, say } from '../support/chat.ts';
import { signUpAll } from '../support/client.ts';
import { asSuperuser, createDatabase } from '../support/database.ts';
import { atFileEnd } from '../support/file-end.ts';
import { addReaction, removeReaction } from '../support/message.ts';
import { setForNewConnections } from '../support/plans.ts';
import { startServer } from '../support/server.ts';

const database = await createDatabase();
atFileEnd(database.drop);
// The server's connections look for a deadlock after this time: on a busy machine, it takes a while to make one.
await setForNewConnections(database, { deadlock_timeout: '3s' });
const server = await startServer({ database });
const [ada, grace] = await signUpAll(server, 'ada', 'grace');

/**
 * Makes a request deadlock with a transaction like one in psql: that transaction runs `first`, lets the request wait
 * for it, then runs `second`, which waits for the request. PostgreSQL resolves this by rolling back the server's
 * transaction. Returns the request's result.
 */
async function deadlockWith<Result>(
  { first, second }: Record<'first' | 'second', [statement: string, ...values: string[]]>,
  request: () => Promise<Result>,
): Promise<Result> {
  const before = await countDeadlocks();
  // Only a superuser may change deadlock_timeout.
  const result = await asSuperuser(database, async (client) => {
    await client.query('begin');
    await lock(client, first);
    const requested = request();
    await expect.poll(countWaiting).toBe(1);
    // Only the server's connection looks for a deadlock, so it is the server's transaction that is rolled back.
    await client.query(`set local deadlock_timeout = '1min'`);
    await lock(client, second);
    await client.query('commit');
    return requested;
  });
  await expect.poll(countDeadlocks).toBe(before + 1);
  return result;
}

const lock = (client: pg.ClientBase, [statement, ...values]: [string, ...string[]]) => client.query(statement, values);

const countWaiting = async () =>
  (
    await server.sql.query(`select from pg_locks l join pg_stat_activity a using (pid)
      where not l.granted and a.application_name = 'parley' and a.datname = current_database()`)
  ).rowCount;

async function countDeadlocks(): Promise<number> {
  const { rows } = await server.sql.query<{ count: number }>(
    'select deadlocks::int as count from pg_stat_database where datname = current_database()',
  );
  return rows[0]?.count ?? 0;
}

test('a write that deadlocks with psql is retried', async () => {
  const chatId = await createGroup(ada, [grace]);
  const messageId = await say(ada, chatId, 'hello');
  await addReaction(ada, messageId, '👍');
  await addReaction(grace, messageId, '👍');
  const message = await deadlockWith(
    {
      first: ['select from reactions where chat_id = $1 and user_id = $2 for update', keyOf(chatId), keyOf(ada.userId)],
      second: ['select from chats where id = $1 for update', keyOf(chatId)],
    },
    () => removeReaction(ada, messageId, '👍'),
  );
  expect(message.reactions).toEqual([{ emoji: '👍', count: 1, viewerReacted: false }]);
});

test('a write that waited long for its chat still waits for its message', async () => {
  const chatId = await createGroup(ada, [grace]);
  const messageId = await say(ada, chatId, 'hello');
  const message = await asSuperuser(database, async (chatHolder) =>
    asSuperuser(database, async (messageHolder) => {
      await chatHolder.query('begin');
      await lock(chatHolder, ['select from chats where id = $1 for update', keyOf(chatId)]);
      const requested = addReaction(ada, messageId, '👍');
      await expect.poll(countWaiting).toBe(1);
      await messageHolder.query('begin');
      await lock(messageHolder, ['select from messages where id = $1 for share', keyOf(messageId)]);
      // Longer than a write waits for its message.
      await chatHolder.query('select pg_sleep(3.5)');
      await chatHolder.query('commit');
      await expect.poll(countWaiting).toBe(0);
      await messageHolder.query('select pg_sleep(0.3)');
      await messageHolder.query('commit');
      return requested;
    }),
  );
  expect(message.reactions).toEqual([{ emoji: '👍', count: 1, viewerReacted: true }]);
});
