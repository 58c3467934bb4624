import { beforeAll, expect, test } from 'vitest';
import { signUpAll, type Person } from '../support/client.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { startServer, type TestServer } from '../support/server.ts';

let redis: TestRedis;
let server: TestServer;
let other: TestServer;
let ada: Person;
beforeAll(async () => {
  redis = await startRedis();
  const env = { REDIS_URL: redis.url, RATE_LIMITS: 'on', RATE_LIMIT_PRESENCE_PER_SESSION: '3/10m' };
  server = await startServer({ env });
  other = await startServer({ database: server.database, env });
  [ada] = await signUpAll(server, 'ada');
});

const setPresence = (node: TestServer) =>
  node.post('mutation { setPresence(status: AWAY) { __typename } }', {}, { token: ada.token });

test('two nodes share the limits, which continue to work without Redis', async () => {
  expect(await redis.cli('keys', 'parley:*')).toContain('signUps');
  for (const node of [server, other, server])
    expect(JSON.stringify(await setPresence(node))).not.toContain('RATE_LIMITED');
  expect(JSON.stringify(await setPresence(other))).toContain('RATE_LIMITED');
  await redis.kill();
  await expect.poll(() => other.log.map(({ msg }) => msg), { timeout: 10_000 }).toContain(away);
  expect(await redis.cli('ping').catch(() => 'away')).toBe('away');
  await expect.poll(async () => JSON.stringify(await setPresence(server))).toContain('RATE_LIMITED');
});

const away = 'Redis is unavailable: this node continues with PostgreSQL and its own memory';
