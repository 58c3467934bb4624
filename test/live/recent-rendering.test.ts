import { expect, test } from 'vitest';
import { RecentRenderings } from '../../src/live/recent-rendering.ts';

const rendered = (length: number) => Promise.resolve({ payload: 'x'.repeat(length), personalTo: null });

test('the renderings that a document keeps are bounded in size, and gone after two seconds', async () => {
  const recent = new RecentRenderings();
  const add = async (id: bigint, length: number) => {
    recent.add(id, rendered(length));
    await new Promise((resolve) => void setImmediate(resolve));
  };
  for (let id = 1n; id <= 20n; id += 1n) await add(id, 100_000);
  await add(21n, 10_000_000);
  expect(recent.size).toBeLessThan(600_000);
  expect(await recent.get(20n)).toMatchObject({ personalTo: null });
  expect([recent.get(1n), recent.get(21n)]).toEqual([undefined, undefined]);
  await expect.poll(() => recent.size, { timeout: 10_000 }).toBe(0);
});
