import { describe, expect, test } from 'vitest';
import { runHere, useRedis, valkeyTests } from '../support/nodes.ts';
import { canUseValkey, startRedisCluster, useValkey } from '../support/redis.ts';

describe.runIf(canUseValkey)('with a cluster of three Valkeys', async () => {
  if (!canUseValkey) return;
  await useValkey();
  const { url, servers } = await startRedisCluster();
  useRedis(url);
  test('the servers are Valkeys', async () => {
    for (const { cli } of servers) expect(await cli('info', 'server')).toContain('server_name:valkey');
  });
  await runHere(valkeyTests);
});
