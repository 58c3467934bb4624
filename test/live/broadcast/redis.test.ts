import { existsSync } from 'node:fs';
import { expect, test } from 'vitest';
import { deliveryTests, runHere, useRedis } from '../../support/nodes.ts';
import { startRedis } from '../../support/redis.ts';

// Repeats the most important delivery tests with nodes that use Redis. test/full repeats all of them.
useRedis((await startRedis()).url);
await runHere(['faults/property', 'live/access', 'live/history']);

test.each(deliveryTests)('%s, which test/full runs with Redis, is there', (path) => {
  expect(existsSync(new URL(`../../${path}.test.ts`, import.meta.url))).toBe(true);
});
