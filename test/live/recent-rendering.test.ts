import { expect, test } from 'vitest';
import { Outdated } from '../../src/live/outdated.ts';
import { RecentRenderings } from '../../src/live/recent-rendering.ts';

const rendered = (length: number) => ({
  outcome: Promise.resolve({ payload: 'x'.repeat(length), personalTo: null }),
  chatId: 1n,
  edition: 0,
});

test('the renderings that a document keeps are limited in size, and are gone after two seconds', async () => {
  const recent = new RecentRenderings(new Outdated());
  const add = async (id: bigint, length: number) => {
    recent.add(id, rendered(length));
    await new Promise((resolve) => void setImmediate(resolve));
  };
  for (let id = 1n; id <= 60n; id += 1n) await add(id, 100_000);
  await add(61n, 10_000_000);
  expect(recent.weight).toBeLessThan(4_300_000);
  expect(await recent.get(60n)?.outcome).toMatchObject({ personalTo: null });
  expect([recent.get(1n), recent.get(61n)]).toEqual([undefined, undefined]);
  await expect.poll(() => recent.weight, { timeout: 10_000 }).toBe(0);
});

test('all documents together keep a bounded number of characters', async () => {
  const documents = Array.from({ length: 20 }, () => new RecentRenderings(new Outdated()));
  for (const recent of documents) {
    for (let id = 1n; id <= 30n; id += 1n) recent.add(id, rendered(100_000));
    await new Promise((resolve) => void setImmediate(resolve));
  }
  const sizes = documents.map(({ weight }) => weight);
  expect(sizes.reduce((sum, size) => sum + size)).toBeLessThan(40_000_000);
  expect(Math.min(...sizes)).toBeGreaterThan(300_000);
  for (const recent of documents) recent.clear();
});
