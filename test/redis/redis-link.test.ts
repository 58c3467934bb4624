import { expect, test } from 'vitest';
import { RedisAway } from '../../src/redis/redis-link.ts';
import { connect, receive } from '../support/redis-link.ts';
import { startRedis } from '../support/redis.ts';

const redis = await startRedis();

test('a message reaches each node that subscribes to its channel, in order', async () => {
  const [ada, ben] = [await connect(redis.url), await connect(redis.url)];
  const received = await Promise.all([receive(ada, 'room'), receive(ben, 'room')]);
  const other = await receive(ben, 'other');
  const sent = Array.from({ length: 100 }, (_, index) => String(index));
  await Promise.all(sent.map((message) => ada.link.publish('room', message)));
  for (const { messages } of received) await expect.poll(() => messages).toEqual(sent);
  expect(other.messages).toEqual([]);
  expect(ada.reports).toEqual(['Redis is connected']);
});

test('a channel that was left delivers nothing more', async () => {
  const ada = await connect(redis.url);
  const [left, kept] = [await receive(ada, 'left'), await receive(ada, 'kept')];
  left.subscription.close();
  expect(left.subscription.since).toBeNull();
  await ada.link.publish('left', 'late');
  await ada.link.publish('kept', 'last');
  await expect.poll(() => kept.messages).toEqual(['last']);
  expect(left.messages).toEqual([]);
});

test('after Redis was killed and came back empty, channels work again, and the outage was reported once', async () => {
  const own = await startRedis();
  const ada = await connect(own.url);
  const { messages, subscription } = await receive(ada, 'room');
  await own.kill();
  await expect.poll(() => ada.link.isConnected).toBe(false);
  await expect(ada.link.publish('room', 'lost')).rejects.toThrow(RedisAway);
  await expect.poll(() => subscription.since).toBeNull();
  await own.restart();
  await expect.poll(() => ada.link.isConnected && subscription.since, { timeout: 10_000 }).toBeTruthy();
  await ada.link.publish('room', 'again');
  await expect.poll(() => messages).toEqual(['again']);
  await expect.poll(() => ada.reports).toEqual(['Redis is connected', away, 'Redis is connected']);
});

const away = 'Redis is unavailable: this node continues with PostgreSQL and its own memory';

test('while Redis does not answer, one command waits for a second, and further ones fail at once', async () => {
  const own = await startRedis();
  const ada = await connect(own.url);
  own.pause();
  const begun = performance.now();
  await expect(ada.link.publish('room', 'lost')).rejects.toThrow(RedisAway);
  const waited = performance.now();
  await expect(ada.link.publish('room', 'lost')).rejects.toThrow(RedisAway);
  expect(waited - begun).toBeLessThan(2_500);
  expect(performance.now() - waited).toBeLessThan(200);
  own.resume();
  await expect.poll(() => ada.link.isConnected, { timeout: 10_000 }).toBe(true);
  const { messages } = await receive(ada, 'room');
  await ada.link.publish('room', 'again');
  await expect.poll(() => messages).toEqual(['again']);
});

test('a server starts without Redis, and uses it once it is there', async () => {
  const own = await startRedis();
  await own.kill();
  const ada = await connect(own.url);
  expect(ada.link.isConnected).toBe(false);
  expect(ada.reports).toEqual([away]);
  await own.restart();
  await expect.poll(() => ada.link.isConnected, { timeout: 10_000 }).toBe(true);
});
