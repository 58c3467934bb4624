import { setTimeout as sleep } from 'node:timers/promises';
import { beforeEach, expect, test } from 'vitest';
import { BatchPace } from '../../src/log/batch-pace.ts';

const factors = { usual: 3, busy: 15, maxBusyMs: 30_000 };
let pace: BatchPace;
beforeEach(() => {
  pace = new BatchPace(factors);
  pace.keepUp();
});

/** Keeps the event loop busy. */
function work(ms: number): void {
  const endsAt = performance.now() + ms;
  while (performance.now() < endsAt);
}

test('background work rests longer while the node is busy, because its users come first', async () => {
  work(50);
  expect(pace.restMs(10)).toBe(150);
  await sleep(100);
  expect(pace.restMs(10)).toBe(30);
  work(200);
  expect(pace.restMs(10)).toBe(150);
});

test('a node that stays busy does not put its background work off for longer than the limit', () => {
  pace = new BatchPace({ ...factors, maxBusyMs: 200 });
  work(50);
  expect(pace.restMs(10)).toBe(150);
  work(250);
  expect(pace.restMs(10)).toBe(30);
  pace.keepUp();
  work(50);
  expect(pace.restMs(10)).toBe(150);
});

test('a single rest is not longer than the limit either, unless the usual one is', () => {
  work(50);
  expect(pace.restMs(5_000)).toBeLessThanOrEqual(factors.maxBusyMs);
  expect(pace.restMs(20_000)).toBe(60_000);
});
