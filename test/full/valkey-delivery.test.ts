import { describe, expect, test } from 'vitest';
import { runHere, useRedis, valkeyTests } from '../support/nodes.ts';
import { canUseValkey, startRedis, useValkey } from '../support/redis.ts';

describe.runIf(canUseValkey)('with Valkey', async () => {
  if (!canUseValkey) return;
  await useValkey();
  const { url, cli } = await startRedis();
  useRedis(url);
  test('the server is Valkey', async () => {
    expect(await cli('info', 'server')).toContain('server_name:valkey');
  });
  await runHere(valkeyTests);
});
