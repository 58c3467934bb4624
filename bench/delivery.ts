import { parseArgs } from 'node:util';
import { measureFanOut } from './fan-out.ts';
import { measureLatency } from './latency.ts';
import { measureMemory } from './memory.ts';
import { measureReplay } from './replay.ts';
import { measureSelective } from './selective.ts';
import { runSuite } from './suite.ts';

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string' },
    rounds: { type: 'string' },
    profile: { type: 'string' },
  },
});

await runSuite({
  name: 'delivery',
  benchmarks: {
    'fan-out': measureFanOut,
    memory: measureMemory,
    latency: measureLatency,
    replay: measureReplay,
    selective: measureSelective,
  },
  isQuick: values.quick,
  rounds: Number(values.rounds ?? (values.quick ? 2 : 5)),
  only: values.only,
  profileFolder: values.profile,
});
