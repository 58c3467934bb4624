import { expect, test } from 'vitest';
import { openProxy } from '../support/proxy.ts';
import { connect, receive } from '../support/redis-link.ts';
import { startRedis } from '../support/redis.ts';

const redis = await startRedis();

test('connections that have become silent are detected and replaced', async () => {
  const proxy = await openProxy(redis.url);
  const ada = await connect(proxy.through(redis.url));
  const { messages, subscription } = await receive(ada, 'dark');
  proxy.silence();
  await expect.poll(() => subscription.since, { timeout: 10_000 }).toBeNull();
  await expect.poll(() => subscription.since, { timeout: 10_000 }).not.toBeNull();
  await expect.poll(() => ada.link.isConnected, { timeout: 10_000 }).toBe(true);
  await ada.link.publish('dark', 'light');
  await expect.poll(() => messages).toEqual(['light']);
});
