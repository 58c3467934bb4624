import { expect, onTestFinished, test, vi } from 'vitest';
import { createGroup, keyOf } from '../support/chat.ts';
import { signUp, signUpAll } from '../support/client.ts';
import { startFaultyPostgres } from '../support/fault-postgres.ts';
import {
  attend,
  attendanceTimes,
  changed,
  changesHeard,
  follow,
  presenceOf,
  setPresence,
} from '../support/presence.ts';
import { Reader } from '../support/reader.ts';
import { startServer } from '../support/server.ts';

// With the default settings, a node that goes silent does not count as dead immediately.
vi.setConfig({ testTimeout: 90_000 });

test('a database that crashes forgets who is present, and users do not notice', async () => {
  const postgres = await startFaultyPostgres();
  onTestFinished(postgres.remove);
  const database = await postgres.createDatabase();
  const nodes = [
    await startServer({ database, overrides: { attendanceTimes } }),
    await startServer({ database, overrides: { attendanceTimes } }),
  ] as const;
  onTestFinished(async () => {
    await Promise.all(nodes.map((node) => node.close()));
    await database.drop();
  });
  const [ada, grace, linus] = await Promise.all(['ada', 'grace', 'linus'].map((name) => signUp(nodes[0], name)));
  if (ada === undefined || grace === undefined || linus === undefined) throw new Error('a user could not sign up');
  await createGroup(ada, [grace, linus]);
  await using adas = await follow(nodes[0], ada);
  // One after the other, because two nodes report two users in any order.
  await using _ = await attend(nodes[0], grace);
  await adas.next(changed(grace, 'ONLINE'));
  const linuses = await attend(nodes[1], linus);
  await adas.next(changed(linus, 'ONLINE'));
  await setPresence(linus, 'AWAY');
  await adas.next(changed(linus, 'AWAY'));
  // A crash may lose writes that did not wait for the disk; after a checkpoint, they are on the disk.
  await database.sql.query('checkpoint');

  await postgres.end('SIGQUIT');
  await postgres.resume();
  const here = async () => (await database.sql.query('select from session_presences')).rowCount;
  await expect.poll(() => here().catch(() => 0), { timeout: 30_000 }).toBe(3);
  // By then the sweep has removed all leftovers.
  await expect
    .poll(async () => {
      const text = `select from presence_nodes where since < clock_timestamp() - interval '2 seconds'`;
      return (await database.sql.query(text)).rowCount;
    })
    .toBe(2);
  expect(await presenceOf(grace, ada)).toEqual({ status: 'ONLINE', lastSeenAt: null });
  expect(await presenceOf(linus, ada)).toEqual({ status: 'AWAY', lastSeenAt: null });
  for (const person of [grace, linus]) expect(await changesHeard(ada, adas, person)).toEqual([]);
  // Presence works as before.
  await linuses.close();
  await adas.next(changed(linus, 'OFFLINE'));
});

test('a reader that lags behind receives no presence changes, and is notified when to fetch presence again', async () => {
  const node = await startServer({ env: { MAX_STREAM_BUFFER_BYTES: '100000000' }, overrides: { attendanceTimes } });
  const [ada, grace, linus] = await signUpAll(node, 'ada', 'grace', 'linus');
  const chatId = await createGroup(ada, [grace, linus]);
  const stalled = await new Reader(node, ada, { wantsPresence: true }).live();
  const eager = await new Reader(node, linus, { wantsPresence: true }).live();
  await using _ = await attend(node, grace);
  const hears = (reader: Reader, status: string) =>
    reader.until(() => reader.presences.includes(`${grace.userId} ${status}`));
  for (const reader of [stalled, eager]) await hears(reader, 'ONLINE');
  stalled.stall();
  await node.sql.query(
    `insert into messages (chat_id, seq, sender_id, content)
    select c.id, c.last_seq + n, $2, rpad(n::text, 9000, ' words') from chats c, generate_series(1, 1500) n where c.id = $1`,
    [keyOf(chatId), keyOf(linus.userId)],
  );
  await eager.until(() => eager.heardCount === 1_500);
  await setPresence(grace, 'AWAY');
  await hears(eager, 'AWAY');
  stalled.resume();
  await stalled.live(2);
  expect(stalled.heardCount).toBe(1_500);
  expect(stalled.presences).not.toContain(`${grace.userId} AWAY`);
  await grace.ask('mutation { signOut }');
  await hears(stalled, 'OFFLINE');
  expect([stalled.faults, eager.caughtUpCount]).toEqual([[], 1]);
});
