import { expect, onTestFinished, test } from 'vitest';
import { generateKeySet } from '../../src/account/token-key.ts';
import { createGroup } from '../support/chat.ts';
import { signUp } from '../support/client.ts';
import { createDatabase } from '../support/database.ts';
import { expectWhole, hearMore } from '../support/fault.ts';
import { openProxy } from '../support/proxy.ts';
import { Reader } from '../support/reader.ts';
import { startRedis } from '../support/redis.ts';
import { runServer } from '../support/server-process.ts';
import { startServer } from '../support/server.ts';
import { writeWithMutation, writeWithSql } from '../support/writer.ts';

const jwtKeys = generateKeySet();

/**
 * Starts a separate Redis server, a process that is the publisher, a node in this process, and a chat with streams on
 * both nodes.
 */
async function startChat() {
  const redis = await startRedis();
  const database = await createDatabase();
  onTestFinished(database.drop);
  const env = { JWT_KEYS: jwtKeys, REDIS_URL: redis.url };
  const publisher = runServer({ ...env, DATABASE_URL: database.url });
  await publisher.said('now publishes the event log');
  const proxy = await openProxy(redis.url);
  const node = await startServer({ database, env: { ...env, REDIS_URL: proxy.through(redis.url) } });
  onTestFinished(node.close);
  const [ada, grace] = [await signUp(node, 'ada'), await signUp(node, 'grace')];
  const chatIds = [await createGroup(ada, [grace]), await createGroup(ada, [grace])];
  const other = { url: await publisher.url };
  const readers = await Promise.all([new Reader(node, grace).live(), new Reader(other, grace).live()]);
  const writers = [writeWithMutation(node, chatIds, ada), writeWithSql(database.url, chatIds, grace)];
  await hearMore(readers, 100);
  return { redis, database, publisher, proxy, node, chatIds, readers, writers };
}

test('the publisher is paused, comes back after it was replaced, and is killed: streams on the other node miss nothing', async () => {
  const { database, publisher, node, chatIds, readers, writers } = await startChat();
  const [onNode] = readers;
  if (onNode === undefined) throw new Error('there is no reader');
  publisher.kill('SIGSTOP');
  await expect
    .poll(() => node.log.some(({ msg }) => String(msg).includes('now publishes')), { timeout: 20_000 })
    .toBe(true);
  await hearMore([onNode], 100);
  publisher.kill('SIGCONT');
  await hearMore(readers, 100);
  publisher.kill('SIGKILL');
  await hearMore([onNode], 100);
  await expectWhole(database.sql, chatIds, { readers: [onNode], writers });
});

test('Redis is killed, comes back empty, and stops answering: all streams go on without loss', async () => {
  const { redis, database, chatIds, readers, writers } = await startChat();
  await redis.kill();
  await hearMore(readers, 200);
  await redis.restart();
  const channels = () => redis.cli('pubsub', 'shardchannels', 'parley:*:log');
  await expect.poll(channels, { timeout: 20_000 }).not.toBe('');
  await hearMore(readers, 200);
  redis.pause();
  await hearMore(readers, 500);
  redis.resume();
  await hearMore(readers, 200);
  await expectWhole(database.sql, chatIds, { readers, writers });
});

test('a node is cut off from Redis, again and again, cleanly and silently: its streams go on without loss', async () => {
  const { proxy, database, chatIds, readers, writers } = await startChat();
  for (let round = 0; round < 10; round += 1) {
    proxy.cut(0.5);
    await hearMore(readers, 30);
  }
  proxy.silence({ all: true });
  await hearMore(readers, 500);
  proxy.speak();
  await hearMore(readers, 500);
  await expectWhole(database.sql, chatIds, { readers, writers });
});
