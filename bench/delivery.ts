import process from 'node:process';
import { parseArgs } from 'node:util';
import { type Bench, startLoad } from './bench.ts';
import { startPostgres } from './database.ts';
import { measureFanOut } from './fan-out.ts';
import { measureLatency } from './latency.ts';
import { measureMemory } from './memory.ts';
import { measureReplay } from './replay.ts';
import { measureSelective } from './selective.ts';
import { print, save } from './result.ts';

const benchmarks = {
  'fan-out': measureFanOut,
  memory: measureMemory,
  latency: measureLatency,
  replay: measureReplay,
  selective: measureSelective,
};

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string' },
    rounds: { type: 'string' },
    profile: { type: 'string' },
  },
});

const startedAt = performance.now();
const say = (line: string) =>
  void process.stderr.write(`${((performance.now() - startedAt) / 1_000).toFixed(0)} s  ${line}\n`);
const postgres = await startPostgres();
// Each benchmark gets its own load process: otherwise the garbage of thousands of readers would be collected during
// the next one.
let load = startLoad();

const stop = async () => {
  await load.stop();
  await postgres.stop();
};
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => void stop().then(() => process.exit(1)));

try {
  const reports = [];
  for (const name of values.only?.split(',') ?? Object.keys(benchmarks)) {
    const measure = benchmarks[name as keyof typeof benchmarks];
    if (measure === undefined) throw new Error(`--only knows ${Object.keys(benchmarks).join(', ')}`);
    say(name);
    const bench: Bench = {
      postgres,
      load: load.remote,
      isQuick: values.quick,
      rounds: Number(values.rounds ?? (values.quick ? 2 : 5)),
      profileFolder: values.profile,
      say,
    };
    reports.push(...(await measure(bench)));
    await load.stop();
    load = startLoad();
  }
  process.stdout.write(print(reports));
  // A partial or quick run does not overwrite the results of a full one.
  if (!values.quick && values.only === undefined) await save(reports, postgres.version, 'delivery');
} finally {
  await stop();
}
