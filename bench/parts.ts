import { parseArgs } from 'node:util';
import { measureConnect } from './parts/connect.ts';
import { measureFollow } from './parts/follow.ts';
import { measureRedis } from './parts/redis.ts';
import { runSuite } from './suite.ts';

const { values } = parseArgs({
  options: { quick: { type: 'boolean', default: false }, only: { type: 'string' } },
});

// Measures the costs of individual parts, from which bench/sim computes the behaviour of many machines.
await runSuite({
  name: 'parts',
  benchmarks: { redis: measureRedis, follow: measureFollow, connect: measureConnect },
  isQuick: values.quick,
  rounds: values.quick ? 1 : 3,
  only: values.only,
});
