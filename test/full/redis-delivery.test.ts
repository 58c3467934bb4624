import { describe } from 'vitest';
import { deliveryTests, runHere, useRedis } from '../support/nodes.ts';
import { startRedis } from '../support/redis.ts';

describe('with Redis', async () => {
  useRedis((await startRedis()).url);
  await runHere(deliveryTests);
});
