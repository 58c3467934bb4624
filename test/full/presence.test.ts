import { expect, onTestFinished, test } from 'vitest';
import { generateKeySet } from '../../src/account/token-key.ts';
import { createGroup } from '../support/chat.ts';
import { signUp } from '../support/client.ts';
import { createDatabase } from '../support/database.ts';
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
import { runServer } from '../support/server-process.ts';
import { startServer } from '../support/server.ts';
import { eventOf, followEvents } from '../support/stream.ts';

const jwtKeys = generateKeySet();

test('when a node is killed, its users are reported offline within 30 seconds', async () => {
  const database = await createDatabase();
  onTestFinished(database.drop);
  const node = await startServer({ database, env: { JWT_KEYS: jwtKeys } });
  onTestFinished(node.close);
  const [ada, grace] = await Promise.all([signUp(node, 'ada'), signUp(node, 'grace')]);
  await createGroup(ada, [grace]);
  const doomed = runServer({ DATABASE_URL: database.url, JWT_KEYS: jwtKeys });
  const document = `subscription { events { event {
    __typename ... on PresenceChanged { userId presence { status } }
  } } }`;
  await using adas = await followEvents(node, ada, { document });
  await using _ = await followEvents({ url: await doomed.url }, grace, { document });
  await adas.next(changed(grace, 'ONLINE'));

  doomed.kill('SIGKILL');
  await doomed.ended;
  const killedAt = performance.now();
  const query = 'query ($id: ID!) { node(id: $id) { ... on User { presence { status } } } }';
  const status = async () => (await ada.ask(query, { id: grace.userId })).node.presence.status;
  expect(await status()).toBe('ONLINE');
  await expect.poll(status, { timeout: 40_000, interval: 200 }).toBe('OFFLINE');
  expect(performance.now() - killedAt).toBeLessThan(30_000);
  expect(eventOf(await adas.next(changed(grace, 'OFFLINE')))).toBeDefined();
});

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
  // The users connect one after another, because two nodes may report two users in either order.
  await using _ = await attend(nodes[0], grace);
  await adas.next(changed(grace, 'ONLINE'));
  const linuses = await attend(nodes[1], linus);
  await adas.next(changed(linus, 'ONLINE'));
  await setPresence(linus, 'AWAY');
  await adas.next(changed(linus, 'AWAY'));
  // A crash may lose writes that did not wait for the disk. The checkpoint writes these changes to the disk, so that
  // the crash cannot lose them.
  await database.sql.query('checkpoint');

  await postgres.end('SIGQUIT');
  await postgres.resume();
  const here = async () => (await database.sql.query('select from session_presences')).rowCount;
  await expect.poll(() => here().catch(() => 0), { timeout: 30_000 }).toBe(3);
  // Waits until the sweep has removed all leftovers.
  await expect
    .poll(async () => {
      const text = `select from presence_nodes where since < clock_timestamp() - interval '2 seconds'`;
      return (await database.sql.query(text)).rowCount;
    })
    .toBe(2);
  expect(await presenceOf(grace, ada)).toEqual({ status: 'ONLINE', lastSeenAt: null });
  expect(await presenceOf(linus, ada)).toEqual({ status: 'AWAY', lastSeenAt: null });
  for (const person of [grace, linus]) expect(await changesHeard(ada, adas, person)).toEqual([]);
  // Presence works as it did before.
  await linuses.close();
  await adas.next(changed(linus, 'OFFLINE'));
});
