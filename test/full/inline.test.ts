import { expect, test } from 'vitest';
import { keyOf } from '../support/chat.ts';
import { signUp } from '../support/client.ts';
import { download, upload } from '../support/file.ts';
import { startServer } from '../support/server.ts';

test('an upload waits while its user’s account is being deleted, and no other user waits', async () => {
  const server = await startServer();
  const grace = await signUp(server, 'grace');
  const { url } = server.database;
  // The node connects as if through a pooler, where PostgreSQL does not end slow statements.
  const node = await startServer({ database: server.database, env: { DATABASE_DIRECT_URL: url } });
  const katherine = await signUp(server, 'katherine');
  const other = await server.sql.connect();
  await other.query('begin');
  await other.query('delete from users where id = $1', [keyOf(katherine.userId)]);
  let isDone = false;
  const waiting = upload(node, katherine, 'mine still').finally(() => (isDone = true));
  const waits = async () => {
    const { rowCount } = await server.sql.query(
      `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
    );
    return rowCount;
  };
  await expect.poll(waits).toBe(1);
  await upload(node, grace, 'does not wait either');
  expect(isDone).toBe(false);
  await other.query('rollback');
  other.release();
  expect(await (await download(node, (await waiting).url)).text()).toBe('mine still');
});
