import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { FifoCache, type CacheBudget } from '../../src/core/fifo-cache.ts';

test('a cache keeps the newest entries that its limit allows', () => {
  const steps = fc.array(
    fc.record({
      key: fc.integer({ min: 0, max: 30 }),
      weight: fc.integer({ min: 0, max: 60 }),
      isDeleted: fc.boolean(),
    }),
    { maxLength: 3_000 },
  );
  fc.assert(
    fc.property(steps, (all) => {
      const cache = new FifoCache<number, number>({ max: 100, ttlMs: 60_000 });
      // The entries, from oldest to newest.
      let kept: { key: number; value: number; weight: number }[] = [];
      for (const [value, { key, weight, isDeleted }] of all.entries()) {
        kept = kept.filter((entry) => entry.key !== key);
        if (isDeleted) cache.delete(key);
        else {
          cache.set(key, value, weight);
          kept.push({ key, value, weight });
        }
        const total = () => kept.reduce((sum, entry) => sum + entry.weight, 0);
        while (total() > 100) kept.shift();
        expect(cache.weight).toBe(total());
      }
      for (let key = 0; key <= 30; key += 1)
        expect(cache.get(key)).toBe(kept.find((entry) => entry.key === key)?.value);
      cache.clear();
      expect([cache.weight, cache.get(0)]).toEqual([0, undefined]);
    }),
    { numRuns: 50 },
  );
});

test('an entry whose weight alone exceeds the limit is not kept, but still removes the previous entry with its key', () => {
  const cache = new FifoCache<string, number>({ max: 10, ttlMs: 60_000 });
  cache.set('a', 1, 5);
  cache.set('a', 2, 11);
  expect([cache.get('a'), cache.weight]).toEqual([undefined, 0]);
});

test('caches share a budget, beyond which each may keep a little', () => {
  const budget: CacheBudget = { used: 0, max: 100 };
  const caches = Array.from(
    { length: 5 },
    () => new FifoCache<number, string>({ max: 80, least: 10, budget, ttlMs: 60_000 }),
  );
  for (const cache of caches) for (let key = 0; key < 40; key += 1) cache.set(key, 'value', 2);
  expect(budget.used).toBe(caches.reduce((sum, { weight }) => sum + weight, 0));
  expect(budget.used).toBeLessThanOrEqual(100 + 5 * 10);
  for (const { weight } of caches) expect(weight).toBeGreaterThanOrEqual(10);
  for (const cache of caches) cache.clear();
  expect(budget.used).toBe(0);
});

test('entries are gone some time after they have expired', async () => {
  const cache = new FifoCache<number, string>({ max: 10_000, ttlMs: 40 });
  for (let key = 0; key < 3_000; key += 1) cache.set(key, 'value', 1);
  expect(cache.weight).toBe(3_000);
  await expect.poll(() => cache.weight, { timeout: 10_000 }).toBe(0);
  cache.set(1, 'again', 1);
  expect(cache.get(1)).toBe('again');
  await expect.poll(() => cache.get(1), { timeout: 10_000 }).toBeUndefined();
});

test('what a cache has dropped, replaced or deleted is no longer in memory', async () => {
  setFlagsFromString('--expose-gc');
  const collectGarbage = runInNewContext('gc') as () => void;
  const cache = new FifoCache<number, object>({ max: 10, ttlMs: 60_000 });
  const values: WeakRef<object>[] = [];
  const set = (key: number) => {
    const value = { key };
    values.push(new WeakRef(value));
    cache.set(key, value, 1);
  };
  for (let key = 0; key < 100; key += 1) set(key);
  for (let round = 0; round < 100; round += 1) set(99);
  cache.delete(99);
  // A WeakRef keeps its target alive until the current turn of the event loop ends.
  await new Promise((resolve) => void setImmediate(resolve));
  collectGarbage();
  expect(values.filter((value) => value.deref() !== undefined)).toHaveLength(9);
  expect(cache.get(98)).toBeDefined();
});
