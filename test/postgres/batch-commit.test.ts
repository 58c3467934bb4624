import fc from 'fast-check';
import { expect, test } from 'vitest';
import { BatchCommit, type BatchOptions } from '../../src/postgres/batch-commit.ts';
import { RateLimited } from '../../src/errors.ts';

type Item = { lane: bigint; number: number };

/** Opens batches that record their commits and fail as configured. */
function open(options: Partial<BatchOptions<Item, number>> = {}) {
  const commits: Item[][] = [];
  const batches = new BatchCommit<Item, number>({
    maxWaiting: 10_000,
    refusal: 'The server has more to write than it can.',
    maxLanes: 3,
    laneOf: ({ lane }) => lane,
    count: (items) => Math.min(items.length, 512),
    remedyFor: () => 'DIVIDE',
    ...options,
    commit: async (items, lane) => {
      commits.push(items);
      await Promise.resolve();
      if (options.commit !== undefined) return options.commit(items, lane);
      return items.map(({ number }) => ({ value: number }));
    },
  });
  return { batches, commits };
}

const itemsOf = (count: number, lane = 1n) => Array.from({ length: count }, (_, number) => ({ lane, number }));

test('items that arrive during a commit go together into the next one, in their order', async () => {
  const { batches, commits } = open();
  const items = itemsOf(300);
  const done = await Promise.all(items.map((item) => batches.submit(item)));
  expect(done).toEqual(items.map(({ number }) => number));
  expect(commits).toEqual([items.slice(0, 1), items.slice(1)]);
});

test('one bad item among many is isolated in a logarithmic number of steps, and the others are committed once each', async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 2, max: 512 }), fc.nat(), async (count, place) => {
      const bad = place % count;
      const done: number[] = [];
      const { batches, commits } = open({
        commit: async (items) => {
          if (items.some(({ number }) => number === bad)) throw new Error('bad item');
          done.push(...items.map(({ number }) => number));
          return items.map(({ number }) => ({ value: number }));
        },
      });
      // The first two items are committed immediately, and the others form one batch.
      await batches.submit({ lane: 1n, number: -1 });
      const first = batches.submit({ lane: 1n, number: -2 });
      const settled = await Promise.allSettled(itemsOf(count).map((item) => batches.submit(item)));
      await first;
      expect(settled.map(({ status }) => status === 'rejected')).toEqual(
        itemsOf(count).map(({ number }) => number === bad),
      );
      expect(done).toEqual([-1, -2, ...itemsOf(count).flatMap(({ number }) => (number === bad ? [] : [number]))]);
      expect(commits.length).toBeLessThanOrEqual(3 + 2 * Math.ceil(Math.log2(count)));
      const others = commits
        .slice(2)
        .flat()
        .filter(({ number }) => number !== bad);
      expect(others.length).toBeLessThanOrEqual(3 * count);
    }),
    { numRuns: 50 },
  );
});

test('when splitting it would not help, a batch fails as a whole, once', async () => {
  const { batches, commits } = open({
    remedyFor: () => 'REJECT',
    commit: async (items) => {
      if (items.length > 1) throw new Error('no room on the disk');
      return items.map(({ number }) => ({ value: number }));
    },
  });
  const settled = await Promise.allSettled(itemsOf(100).map((item) => batches.submit(item)));
  expect(settled.filter(({ status }) => status === 'rejected')).toHaveLength(99);
  expect(commits).toHaveLength(2);
});

test('a commit that fails is retried as often as `remedyFor` allows', async () => {
  let failures = 2;
  const { batches, commits } = open({
    remedyFor: (_error, _items, times) => (times < 3 ? 'REPEAT' : 'REJECT'),
    commit: async (items) => {
      if ((failures -= 1) >= 0) throw new Error('connection lost');
      return items.map(({ number }) => ({ value: number }));
    },
  });
  expect(await batches.submit({ lane: 1n, number: 7 })).toBe(7);
  expect(commits).toHaveLength(3);
  failures = 3;
  await expect(batches.submit({ lane: 1n, number: 8 })).rejects.toThrow('connection lost');
});

test('a lane that waits for a lock keeps its order, and does not delay other lanes', async () => {
  const lock = Promise.withResolvers<void>();
  const done: Item[] = [];
  const { batches } = open({
    commit: async (items, { isLane }) => {
      if (isLane) await lock.promise;
      const mine = items.filter(({ lane }) => isLane || lane !== 2n);
      done.push(...mine);
      return items.map((item) => (mine.includes(item) ? { value: item.number } : null));
    },
  });
  const held = itemsOf(50, 2n).map((item) => batches.submit(item));
  await Promise.all(itemsOf(50, 1n).map((item) => batches.submit(item)));
  const more = [50, 51, 52].map((number) => batches.submit({ lane: 2n, number }));
  lock.resolve();
  await Promise.all([...held, ...more]);
  expect(done.filter(({ lane }) => lane === 2n).map(({ number }) => number)).toEqual(
    itemsOf(53).map(({ number }) => number),
  );
});

test('once the maximum number of items is waiting, further ones are refused', async () => {
  const { batches } = open({ maxWaiting: 3 });
  const settled = await Promise.allSettled(itemsOf(5).map((item) => batches.submit(item)));
  const refused = settled.flatMap((each) => (each.status === 'rejected' ? [each.reason] : []));
  expect(refused).toHaveLength(2);
  expect(refused[0]).toBeInstanceOf(RateLimited);
});
