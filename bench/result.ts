import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { cpus, release, totalmem } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { isReached, type Goal, type Report } from './bench.ts';
import { familyCpuMs, machineCpuMs } from './process.ts';

const folder = join(import.meta.dirname, 'results');
const packages = ['graphql', 'graphql-yoga', 'graphql-sse', 'pg'];

/** All reports as Markdown, followed by their goals. */
export function print(reports: readonly Report[]): string {
  const tables = reports.map(
    ({ title, columns, rows, notes }) =>
      `## ${title}\n\n${table(columns, rows)}\n${notes.map((note) => `${note}\n`).join('')}`,
  );
  const goals = reports.flatMap((report) => report.goals);
  return `${tables.join('\n')}\n## Goals\n\n${table(['what', 'measured', 'goal', ''], goals.map(describeGoal))}`;
}

/** Writes the reports to bench/results/ as Markdown and JSON, with the command and the machine. */
export async function save(reports: readonly Report[], postgresVersion: string, name: string): Promise<void> {
  const machine = await describeMachine(postgresVersion, name);
  await mkdir(folder, { recursive: true });
  const lines = Object.entries(machine).map(([what, value]) => `- ${what}: ${value}\n`);
  await writeFile(
    join(folder, `${name}.md`),
    `# ${name.slice(0, 1).toUpperCase()}${name.slice(1)}\n\n${lines.join('')}\n${print(reports)}`,
  );
  await writeFile(join(folder, `${name}.json`), `${JSON.stringify({ machine, reports }, null, 2)}\n`);
}

async function describeMachine(postgresVersion: string, name: string): Promise<Record<string, string>> {
  const versions = await Promise.all(
    packages.map(async (dependency) => {
      const path = join(import.meta.dirname, '../node_modules', dependency, 'package.json');
      const { version } = JSON.parse(await readFile(path, 'utf8')) as { version: string };
      return `${dependency} ${version}`;
    }),
  );
  return {
    command: [`npm run bench:${name}`, ...(process.argv.length > 2 ? ['--', ...process.argv.slice(2)] : [])].join(' '),
    date: new Date().toISOString(),
    machine: `${cpus().length} × ${cpus()[0]?.model ?? '?'}, ${Math.round(totalmem() / 1e9)} GB, Linux ${release()}`,
    'what else ran': describeOthers(),
    versions: [`Node ${process.version}`, `PostgreSQL ${postgresVersion}`, ...versions].join(', '),
  };
}

const begin = { at: performance.now(), cpuMs: machineCpuMs() };

/** Latencies are meaningful only if nothing else is using the processors. */
function describeOthers(): string {
  const cpuMs = machineCpuMs() - begin.cpuMs - familyCpuMs(process.pid);
  return `${((100 * cpuMs) / (performance.now() - begin.at)).toFixed(0)} % of one processor, on average`;
}

function table(columns: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const line = (cells: readonly (string | number)[]) => `| ${cells.join(' | ')} |\n`;
  return line(columns) + line(columns.map(() => '---')) + rows.map(line).join('');
}

function describeGoal(goal: Goal): string[] {
  const { name, value, atMost, atLeast, unit } = goal;
  const limit = atMost === undefined ? `at least ${atLeast}` : `at most ${atMost}`;
  return [name, `${value.toFixed(2)} ${unit}`, `${limit} ${unit}`, isReached(goal) ? 'reached' : '**not reached**'];
}
