import process from 'node:process';
import { expect, test } from 'vitest';
import { createLru } from '../../src/core/lru.ts';

test('beyond its limit, a cache drops the entry that was used least recently', () => {
  const cache = createLru<string, number>(2);
  cache.set('a', 1);
  cache.set('b', 2);
  cache.get('a');
  cache.set('c', 3);
  expect([...cache.keys()].toSorted()).toEqual(['a', 'c']);
});

test('an empty cache takes no memory for the entries that it may hold', () => {
  const before = process.memoryUsage().heapUsed + process.memoryUsage().arrayBuffers;
  const caches = Array.from({ length: 20 }, () => createLru<string, number>(1_000_000, { ttlMs: 1_000 }));
  const after = process.memoryUsage().heapUsed + process.memoryUsage().arrayBuffers;
  expect(after - before).toBeLessThan(10_000_000);
  expect(caches).toHaveLength(20);
});
