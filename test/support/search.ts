import { setTimeout as pause } from 'node:timers/promises';
import { advisoryLocks } from '../../src/postgres/advisory-lock.ts';
import type { TestServer } from './server.ts';

/** Runs `work` while the server does not index anything, as if indexing were slow. */
export async function withoutIndexing<Result>({ sql }: Pick<TestServer, 'sql'>, work: () => Promise<Result>) {
  const client = await sql.connect();
  try {
    await client.query('begin');
    await client.query('select pg_advisory_xact_lock($1)', [advisoryLocks['search index']]);
    return await work();
  } finally {
    await client.query('rollback');
    client.release();
  }
}

/** Waits until the search index contains everything that has been committed. */
export async function awaitIndex({ sql }: Pick<TestServer, 'sql'>): Promise<void> {
  for (let attempt = 0; attempt < 1_000; attempt += 1) {
    const { rows } = await sql.query<{ isBehind: boolean }>(
      `select exists (
          select from events e where e.kind in ('NewMessage', 'MessageEdited')
            and e.id > coalesce((select position from log_consumers where name = 'search'), 0))
        or exists (select from search_backlog) or exists (select from search_chat_backlog)
        or exists (select from search_user_backlog) or exists (select from search_channel_backlog) as "isBehind"`,
    );
    if (rows[0]?.isBehind === false) return;
    await pause(20);
  }
  throw new Error('the search index does not catch up');
}
