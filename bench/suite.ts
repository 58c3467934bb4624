import process from 'node:process';
import { type Bench, type Report, startLoad } from './bench.ts';
import { startPostgres } from './database.ts';
import { print, save } from './result.ts';

/** Benchmarks that share a PostgreSQL server, by name. */
export type Suite = {
  /** The title of the benchmarks' results. */
  name: string;
  benchmarks: Record<string, (bench: Bench) => Promise<Report[]>>;
  isQuick: boolean;
  rounds: number;
  /** The names of the benchmarks to run, separated by commas; undefined for all benchmarks. */
  only: string | undefined;
  profileFolder?: string | undefined;
};

/** Runs the benchmarks one after the other, and prints their reports. Saves the reports from a complete run. */
export async function runSuite({ name: title, benchmarks, only, ...options }: Suite): Promise<void> {
  const startedAt = performance.now();
  const say = (line: string) =>
    void process.stderr.write(`${((performance.now() - startedAt) / 1_000).toFixed(0)} s  ${line}\n`);
  const postgres = await startPostgres();
  // Each benchmark gets a separate load process. Otherwise, the garbage of thousands of readers would be collected
  // during the next benchmark.
  let load = startLoad();
  const stop = async () => {
    await load.stop();
    await postgres.stop();
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => void stop().then(() => process.exit(1)));

  try {
    const reports = [];
    for (const name of only?.split(',') ?? Object.keys(benchmarks)) {
      const measure = benchmarks[name];
      if (measure === undefined) throw new Error(`--only knows ${Object.keys(benchmarks).join(', ')}`);
      say(name);
      const { isQuick, rounds, profileFolder } = options;
      reports.push(...(await measure({ postgres, load: load.remote, isQuick, rounds, profileFolder, say })));
      await load.stop();
      load = startLoad();
    }
    process.stdout.write(print(reports));
    // The results of a partial or quick run do not overwrite those of a full one.
    if (!options.isQuick && only === undefined) await save(reports, postgres.version, title);
  } finally {
    await stop();
  }
}
