import { runHere, useRedis } from '../support/nodes.ts';
import { startRedis } from '../support/redis.ts';

// These tests are not in redis-delivery, because vitest runs all hooks of a file before its first test, and the hook of
// full/large-chat takes minutes.
useRedis((await startRedis()).url);
await runHere(['full/large-chat', 'full/property']);
