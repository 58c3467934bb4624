import { expect, onTestFinished, test } from 'vitest';
import { generateKeySet } from '../../src/account/token-key.ts';
import { createGroup } from '../support/chat.ts';
import { signUp } from '../support/client.ts';
import { createDatabase } from '../support/database.ts';
import { changed } from '../support/presence.ts';
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
