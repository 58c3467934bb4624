import { spawnSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';
import type { Goal, Report } from './bench.ts';
import { addPeople, startPostgres, type Postgres } from './database.ts';
import type { FileLoadMethods, Moved } from './file-load.ts';
import type { HeapMethods } from './heap.ts';
import type { BareFilesMethods } from './peers/bare-files.ts';
import { cpuMs, peakRssBytes, resetPeakRss, startHelper, type Program } from './process.ts';
import type { Remote } from './remote.ts';
import { print, save } from './result.ts';
import { signToken, startParley } from './server.ts';
import { percentile, ratios, summarise } from './statistic.ts';

/** A server that stores and serves files, either for users with these tokens or without authentication. */
type Candidate = Program & { name: string; port: number; tokens: string[]; remote: Remote<HeapMethods> };

/**
 * The work that each server does in a round: Together, `people` users upload `count` files of `fileBytes` bytes each,
 * and download them again.
 */
type Task = {
  name: string;
  count: number;
  fileBytes: number;
  connections: number;
  people: number;
  /**
   * The baseline accepts one file per request. A task with several files per request is compared with the baseline of
   * the task that `like` names.
   */
  perRequest: number;
  like?: string;
};

/**
 * The figures of one candidate for one task and direction, with one number per round: MB/s, ms of CPU time, and peaks
 * in bytes.
 */
type Figures = { speed: number[]; cpu: number[]; rss: number[]; heap: number[]; buffers: number[] };

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    profile: { type: 'string' },
    only: { type: 'string' },
  },
});
const rounds = Number(values.rounds ?? (values.quick ? 2 : 9));
const directions = ['up', 'down'] as const;
type Direction = (typeof directions)[number];

const small = { count: 1_000, fileBytes: 4_096, perRequest: 1 };
const byOne = '1,000 files of 4 KiB by one person, 8 connections';
const allTasks: Task[] = [
  { name: 'one file of 100 MB', count: 1, perRequest: 1, fileBytes: 100_000_000, connections: 1, people: 1 },
  { name: '1,000 files of 4 KiB by 64 people', ...small, connections: 64, people: 64 },
  { name: byOne, ...small, connections: 8, people: 1 },
  { name: `${byOne}, ten to a request`, ...small, perRequest: 10, connections: 8, people: 1, like: byOne },
];
const peoplePerRound = 64;
const tasks = allTasks.filter(({ name }) => name.startsWith(values.only ?? ''));

const notes = `
Medians of ${rounds} rounds, in which all servers take turns. Each figure is compared with the bare pipe's of the same
round; ± is half of the range. MB is 1,000,000 bytes. All servers get identical requests, multipart as for
\`POST /api/upload\`, from a separate process on the same machine. \`bare\` is Node's \`http\` with
\`pipeline(request, createWriteStream(path))\` and \`pipeline(createReadStream(path), response)\`: it inspects nothing,
writes no row, and responds when the operating system has the bytes in memory. \`bare, with fsync\` responds when file and
folder are on the disk. parley responds when the bytes are on the disk (in a file, or in PostgreSQL with their row). It
also authenticates the user, enforces limits and quota, parses the form, hashes, detects the type, and commits. The bare
servers accept one file per request, so ten files per request are compared with their 1,000 requests. Each measurement
waits first until the disk is idle (\`sync\`). Each round has new users, who have no files yet.
Memory is the peak of all rounds; heap and buffers (what \`ArrayBuffer\`s hold) were sampled a hundred times a second.`;

const folder = await mkdtemp(join(tmpdir(), 'parley-bench-files-'));
const postgres = await startPostgres();
try {
  const candidates = [await openParley(postgres), await openBare('bare'), await openBare('bare, with fsync')];
  const load = startHelper<FileLoadMethods>('bench/file-load.ts');
  const report = await measure(candidates, load.remote);
  await Promise.all([...candidates, load].map((program) => program.stop()));
  process.stdout.write(print([report]));
  if (!values.quick && values.profile === undefined && values.only === undefined)
    await save([report], postgres.version, 'files');
} finally {
  await postgres.stop();
  await rm(folder, { recursive: true });
}

async function openParley(on: Postgres): Promise<Candidate> {
  const server = await startParley(on, {
    profileFolder: values.profile,
    nodeFlags: ['--import', './bench/heap-watch.ts'],
    settings: { DATA_DIR: join(folder, 'parley'), USER_QUOTA_BYTES: '1000000000000' },
  });
  // Each round uses different users, because all of a user's files count toward the quota.
  const people = await addPeople(server.database, (rounds + 1) * peoplePerRound);
  return { ...server, tokens: await Promise.all(people.map(signToken)) };
}

async function openBare(name: 'bare' | 'bare, with fsync'): Promise<Candidate> {
  const settings = { FOLDER: await mkdtemp(join(folder, 'bare-')), DURABLE: String(name !== 'bare') };
  const peer = startHelper<BareFilesMethods>('bench/peers/bare-files.ts', { settings });
  return { ...peer, name, port: await peer.remote.call('listen'), tokens: [] };
}

/**
 * Measures the candidates in turn, so that other load on the machine affects all of them. The first round is a
 * warm-up.
 */
async function measure(candidates: readonly Candidate[], load: Remote<FileLoadMethods>): Promise<Report> {
  const figures = new Map<string, Figures>();
  for (let round = -1; round < rounds; round += 1) {
    for (const task of tasks) {
      const turn = round % 2 === 0 ? candidates : candidates.toReversed();
      for (const candidate of turn) {
        if (task.like !== undefined && candidate.tokens.length === 0) continue;
        const { port } = candidate;
        const start = (round + 1) * peoplePerRound;
        const tokens = candidate.tokens.slice(start, start + task.people);
        const up = await watch(candidate, () => load.call('upload', { port, ...task, tokens }));
        const { urls } = up.moved;
        const { connections } = task;
        const down = await watch(candidate, () => load.call('download', { port, urls, connections }));
        if (round < 0) continue;
        note(figures, keyOf(candidate.name, task, 'up'), up);
        note(figures, keyOf(candidate.name, task, 'down'), down);
      }
    }
    process.stderr.write(`round ${round + 1} of ${rounds}\n`);
  }
  return describe(
    candidates.map(({ name }) => name),
    figures,
  );
}

type Watched = { moved: Moved; cpu: number; rss: number; heap: number; buffers: number };

/** Measures what the task costs a server. Starts once everything written earlier is on disk. */
async function watch({ pid, remote }: Candidate, work: () => Promise<Moved>): Promise<Watched> {
  spawnSync('sync');
  resetPeakRss(pid);
  await remote.call('resetHeapPeak');
  const before = cpuMs(pid);
  const moved = await work();
  return { moved, cpu: cpuMs(pid) - before, rss: peakRssBytes(pid), ...(await remote.call('readHeapPeak')) };
}

function keyOf(name: string, { name: task }: Task, direction: Direction): string {
  return [name, task, direction].join('\n');
}

function note(figures: Map<string, Figures>, key: string, { moved, cpu, rss, heap, buffers }: Watched): void {
  const found = figures.get(key) ?? { speed: [], cpu: [], rss: [], heap: [], buffers: [] };
  figures.set(key, found);
  found.speed.push(moved.bytes / moved.ms / 1_000);
  found.cpu.push(cpu);
  found.rss.push(rss);
  found.heap.push(heap);
  found.buffers.push(buffers);
}

function describe(names: readonly string[], figures: ReadonlyMap<string, Figures>): Report {
  const find = (name: string, task: Task, direction: Direction) => {
    const found = figures.get(keyOf(name, task, direction));
    if (found === undefined) throw new Error(`${name} was not measured`);
    return found;
  };
  const show = (each: readonly number[], digits: number) => {
    const { median, spreadPercent } = summarise(each);
    return `${median.toFixed(digits)} ±${spreadPercent.toFixed(0)} %`;
  };
  const peak = (each: readonly number[]) => (percentile(each, 100) / 1e6).toFixed(0);
  const rows: Report['rows'] = [];
  const goals: Goal[] = [];
  for (const direction of directions) {
    for (const task of tasks) {
      if (direction === 'down' && task.perRequest > 1) continue;
      const bare = find('bare', tasks.find(({ name }) => name === task.like) ?? task, direction);
      const what = `${task.name}, ${direction}`;
      for (const name of task.like === undefined ? names : ['parley']) {
        const { speed, cpu, rss, heap, buffers } = find(name, task, direction);
        const perSecond = task.count === 1 ? '' : String(Math.round((percentile(speed, 50) * 1e6) / task.fileBytes));
        const ratio = show(ratios(speed, bare.speed), 2);
        rows.push([what, name, show(speed, 1), perSecond, ratio, show(cpu, 0), peak(rss), peak(heap), peak(buffers)]);
      }
      const ours = summarise(ratios(find('parley', task, direction).speed, bare.speed)).median;
      goals.push({ name: `${what}: throughput, against the bare pipe`, value: ours, atLeast: 0.8, unit: '×' });
    }
  }
  const columns = ['what', 'server', 'MB/s', 'files/s', 'against bare', 'CPU of the server, ms'];
  return {
    title: 'Files, up and down',
    columns: [...columns, 'RSS at most, MB', 'heap at most, MB', 'buffers at most, MB'],
    rows,
    notes: [notes],
    goals,
  };
}
