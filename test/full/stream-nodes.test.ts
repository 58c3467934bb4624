import { pruneLeases } from '../../src/postgres/lease.ts';
import { expect, test, vi } from 'vitest';
import { signUp } from '../support/client.ts';
import type { TestDatabase } from '../support/database.ts';
import { completed, give, openReserved, reserve } from '../support/single.ts';
import { holdsStreams, startWithVictim } from '../support/victim.ts';

/** Makes the leases of nodes with open streams expire, as if they had not been renewed in time. */
async function expireLeaseOfStreams(database: TestDatabase): Promise<void> {
  await database.sql.query(`update leases set until = clock_timestamp() - interval '1 ms' where ${holdsStreams}`);
}

const query = '{ viewer { user { username } } }';

test('the streams of a killed node are lost with its lease', async () => {
  await using pair = await startWithVictim();
  const { node, victim, database } = pair;
  const linus = await signUp(node, 'linus');
  const token = await reserve(node, linus);
  const stream = await openReserved({ url: await victim.url }, linus, token);
  victim.kill('SIGKILL');
  await victim.ended;
  expect((await give(node, linus, token, { id: '1', query })).status).toBe(202);
  // Once the node's lease has expired, its streams count as lost.
  await expireLeaseOfStreams(database);
  expect((await give(node, linus, token, { id: '2', query })).status).toBe(404);
  await expect(openReserved(node, linus, token)).rejects.toThrow('400');
  // Deleting the node's lease also deletes its streams.
  await database.sql.query(`update leases set until = until - interval '11 minutes' where ${holdsStreams}`);
  expect(await pruneLeases({ pool: database.sql }, 10)).toBe(1);
  expect((await database.sql.query('select from stream_reservations')).rowCount).toBe(0);
  await stream.close();
});

test('the streams of a node that was paused count again once it runs, and continue', async () => {
  await using pair = await startWithVictim();
  const { node, victim, database } = pair;
  const linus = await signUp(node, 'linus');
  const token = await reserve(node, linus);
  await using stream = await openReserved({ url: await victim.url }, linus, token);
  victim.kill('SIGSTOP');
  await expireLeaseOfStreams(database);
  expect((await give(node, linus, token, { id: '1', query })).status).toBe(404);
  victim.kill('SIGCONT');
  await vi.waitFor(async () => expect((await give(node, linus, token, { id: '2', query })).status).toBe(202), {
    timeout: 10_000,
    interval: 200,
  });
  await stream.next(completed('2'));
});
