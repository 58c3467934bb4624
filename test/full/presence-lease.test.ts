import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { createGroup } from '../support/chat.ts';
import { signUp } from '../support/client.ts';
import { attend, presenceOf, setPresence } from '../support/presence.ts';
import { startServer } from '../support/server.ts';

test('a lease of 10 seconds lasts while it is renewed in time, and otherwise ends within 10 seconds of its expiry', async () => {
  await using node = await startServer();
  const [ada, grace] = [await signUp(node, 'ada'), await signUp(node, 'grace')];
  await createGroup(ada, [grace]);
  await using _ = await attend(node, grace);
  const status = async () => (await presenceOf(grace, ada)).status;
  await expect.poll(status).toBe('ONLINE');
  for (let renewal = 0; renewal < 4; renewal += 1) {
    await setPresence(grace, 'ONLINE', 10);
    await sleep(5_000);
    expect(await status()).toBe('ONLINE');
  }
  const renewedAt = performance.now();
  expect(await setPresence(grace, 'ONLINE', 10)).toMatchObject({ status: 'ONLINE' });
  await expect.poll(status, { timeout: 25_000, interval: 100 }).toBe('OFFLINE');
  expect(performance.now() - renewedAt).toBeGreaterThan(10_000);
  expect(performance.now() - renewedAt).toBeLessThan(20_000);
});
