import { describe } from 'vitest';
import { deliveryTests, runHere, useRedis } from '../support/nodes.ts';
import { startRedisCluster } from '../support/redis.ts';

describe('with a cluster of three Redis servers', async () => {
  useRedis((await startRedisCluster()).url);
  await runHere(deliveryTests);
});
