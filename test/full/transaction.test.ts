import { expect, test } from 'vitest';
import { allowMinutes, connectDatabase, disconnectDatabase, inTransaction } from '../../src/postgres/client.ts';
import { createDatabase } from '../support/database.ts';
import { atFileEnd } from '../support/file-end.ts';

test('a transaction that may take minutes keeps its connection that long, and later transactions do not', async () => {
  const { url, drop } = await createDatabase();
  const brief = connectDatabase({ url, maxConnections: 1, statementTimeoutMs: 200, onError: () => {} });
  atFileEnd(async () => {
    await disconnectDatabase(brief);
    await drop();
  });
  // If no answer arrives, the connection is dropped 2 s after the timeout.
  await inTransaction(brief, async (transaction) => {
    await allowMinutes(transaction);
    await transaction.prisma.$queryRaw`select 1 from pg_sleep(2.5)`;
  });
  await expect(brief.pool.query('select pg_sleep(2.5)')).rejects.toThrow('statement timeout');
  const unanswered = inTransaction(brief, async ({ query }) => {
    await query(`set local statement_timeout = '15min'`);
    await query('select pg_sleep(4)');
  });
  await expect(unanswered).rejects.toThrow('did not answer');
});
