import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { readConfig } from '../../src/config.ts';
import { readQuotas } from '../../src/core/limit.ts';
import { RateLimits, type LimitStore } from '../../src/core/rate-limit.ts';
import { createCounters } from '../../src/redis/counters.ts';
import { connect, receive } from '../support/redis-link.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';

const redis = await startRedis();

/** Creates the rate limits for one node. Without Redis, `store` counts the limits that the nodes share. */
async function createNode({ url }: TestRedis, env: Record<string, string>) {
  const { link } = await connect(url);
  const store: LimitStore = {
    query: vi.fn<LimitStore['query']>(() => Promise.resolve({ rows: [{ points: 1, expire: null }], rowCount: 1 })),
  };
  const counters = { client: createCounters(link), prefix: `parley:${env['RATE_LIMIT_SENDS']}:limit:` };
  const limits = new RateLimits({ quotas: readQuotas(readConfig(env)), store, counters, report: () => undefined });
  return { limits, link, store };
}

const ada = { userId: 1n };
const refusal = 'You are sending messages too fast.';

test('two nodes share a quota, and it is available again when its window ends', async () => {
  const env = { RATE_LIMIT_SENDS: '3/2s' };
  const [one, two] = [await createNode(redis, env), await createNode(redis, env)];
  const takes = [one, two, one, two, one, two].map(({ limits }) => limits.take('sends', ada));
  const outcomes = await Promise.allSettled(takes);
  expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(3);
  await expect(two.limits.refuseExhausted('sends', ada)).rejects.toThrow(refusal);
  await two.limits.take('sends', { userId: 2n });
  await expect.poll(() => one.limits.tries('sends', ada), { timeout: 5_000 }).toBe(true);
});

test('a use can be given back on one node and taken on another, and a quota reset', async () => {
  const env = { RATE_LIMIT_SENDS: '2/1m' };
  const [one, two] = [await createNode(redis, env), await createNode(redis, env)];
  await one.limits.take('sends', ada, { count: 2 });
  await one.limits.giveBack('sends', ada);
  expect(await two.limits.take('sends', ada)).toMatchObject({ remaining: 0 });
  await one.limits.forgive('sends', ada);
  expect(await two.limits.take('sends', ada)).toMatchObject({ remaining: 1, resetSeconds: 60 });
});

test('limits on sign-ins count in Redis, under hashes, and not in PostgreSQL', async () => {
  const { limits, store } = await createNode(redis, { RATE_LIMIT_SENDS: '5/1m', RATE_LIMIT_GUESSES: '1/1m' });
  const counted = { email: 'ada@example.com', address: '192.0.2.1' };
  await limits.take('guesses', counted);
  await limits.take('sends', { address: '192.0.2.1' });
  await expect(limits.take('guesses', counted)).rejects.toThrow('Too many wrong passwords for this account.');
  expect(store.query).not.toHaveBeenCalled();
  const keys = await redis.cli('keys', 'parley:5/1m:*');
  expect(keys).toMatch(/^parley:5\/1m:limit:guesses:[\w-]{43}$/m);
  expect(keys).not.toMatch(/ada|192/);
});

test('while Redis is unreachable, each limit is counted where it would be without Redis; after an empty restart, quotas start again', async () => {
  const own = await startRedis();
  const { limits, link, store } = await createNode(own, { RATE_LIMIT_SENDS: '2/1h' });
  await limits.take('sends', ada, { count: 2 });
  await own.kill();
  await expect.poll(() => link.isConnected).toBe(false);
  await limits.take('sends', ada, { count: 2 });
  await expect(limits.take('sends', ada)).rejects.toThrow(refusal);
  await limits.take('guesses', ada);
  expect(store.query).toHaveBeenCalled();
  await own.restart();
  await expect.poll(() => link.isConnected, { timeout: 10_000 }).toBe(true);
  await limits.take('sends', { userId: 2n }, { count: 2 });
  await expect(limits.take('sends', { userId: 2n })).rejects.toThrow(refusal);
});

test('while Redis does not answer, a limit waits for it at most once', async () => {
  const own = await startRedis();
  const { limits } = await createNode(own, { RATE_LIMIT_SENDS: '2/1m' });
  own.pause();
  const begun = performance.now();
  await limits.take('sends', ada);
  await limits.take('sends', ada);
  await expect(limits.take('sends', ada)).rejects.toThrow(refusal);
  expect(performance.now() - begun).toBeLessThan(2_500);
  own.resume();
});

test('the rights that docs/operating.md lists are enough', async () => {
  const guide = await readFile(join(import.meta.dirname, '../../docs/operating.md'), 'utf8');
  const [, rights = ''] = /^ACL SETUSER parley on >password (.*)$/m.exec(guide) ?? [];
  const own = await startRedis();
  await own.cli('acl', 'setuser', 'parley', 'on', '>password', ...rights.split(' '));
  await own.cli('acl', 'setuser', 'default', 'off');
  const node = await connect(own.url.replace('//', '//parley:password@'));
  const { messages } = await receive(node, 'parley:room');
  await node.link.publish('parley:room', 'hello');
  await expect.poll(() => messages).toEqual(['hello']);
  const client = createCounters(node.link);
  expect(await client.rlflxIncr(['parley:count', '2', '60'])).toEqual([2, expect.any(Number)]);
  expect(await client.multi().get('parley:count').pttl().exec()).toEqual([
    [null, '2'],
    [null, expect.any(Number)],
  ]);
  expect(await client.del('parley:count')).toBe(1);
  expect(node.reports).toEqual(['Redis is connected']);
});
