import process from 'node:process';
import { parseArgs } from 'node:util';
import { type Bench, startLoad } from './bench.ts';
import { startPostgres } from './database.ts';
import { measureConnect } from './parts/connect.ts';
import { measureFollow } from './parts/follow.ts';
import { measureRedis } from './parts/redis.ts';
import { print, save } from './result.ts';

/** The costs of individual parts, from which bench/sim computes the behaviour of many machines. */
const benchmarks = { redis: measureRedis, follow: measureFollow, connect: measureConnect };

const { values } = parseArgs({
  options: { quick: { type: 'boolean', default: false }, only: { type: 'string' } },
});
const startedAt = performance.now();
const say = (line: string) =>
  void process.stderr.write(`${((performance.now() - startedAt) / 1_000).toFixed(0)} s  ${line}\n`);
const postgres = await startPostgres();
const load = startLoad();
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
    const bench: Bench = {
      postgres,
      load: load.remote,
      isQuick: values.quick,
      rounds: values.quick ? 1 : 3,
      profileFolder: undefined,
      say,
    };
    reports.push(...(await measure(bench)));
  }
  process.stdout.write(print(reports));
  if (values.only === undefined && !values.quick) await save(reports, postgres.version, 'parts');
} finally {
  await stop();
}
