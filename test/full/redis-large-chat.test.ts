import { runHere, useRedis } from '../support/nodes.ts';
import { startRedis } from '../support/redis.ts';

// Not in redis-delivery: vitest runs all hooks of a file before its first test, and the hook of this file takes
// minutes.
useRedis((await startRedis()).url);
await runHere(['full/large-chat', 'full/property']);
