import process from 'node:process';
import type { Goal, Report } from './bench.ts';
import { startPostgres, type Person } from './database.ts';
import { cpuMs, familyCpuMs, startHelper, startServer, type Program } from './process.ts';
import type { AskerMethods, Asked } from './read/asker.ts';
import { fillRows } from './read/data.ts';
import {
  floorBody,
  handWrittenBody,
  parleyBody,
  postgraphileBody,
  subjects,
  type Body,
  type Subject,
} from './read/subject.ts';
import { print, save } from './result.ts';
import { keys, signToken, startParley } from './server.ts';
import { percentile, ratios, summarise } from './statistic.ts';
import { publicKeySet } from '../src/account/token-key.ts';

/**
 * A server that answers reads, and the CPU time that the server and the database take per request, in ms, by round.
 */
type Candidate = Program & { name: string; port: number; body: Body; figures: Map<Subject, Figures> };
type Figures = { asked: Asked[]; serverMs: number[]; databaseMs: number[]; perSecond: number[] };

const isQuick = process.argv.includes('--quick');
const option = (name: string) => process.argv.find((argument) => argument.startsWith(`--${name}=`))?.split('=')[1];
const only = option('only')?.split(',');
const profileFolder = option('profile');
const rounds = Number(option('rounds') ?? (isQuick ? 3 : 9));
const ms = Number(option('ms') ?? (isQuick ? 700 : 1_500));
const wanted = subjects.filter((subject) => option('subject') === undefined || option('subject') === subject);
const connections = 16;

const tokens = new Map<Person, string>();

const postgres = await startPostgres();
const asker = startHelper<AskerMethods>('bench/read/asker.ts');
const candidates: Candidate[] = [];
try {
  const readers = await startCandidates();
  for (const candidate of candidates) await checkAnswers(candidate, readers);
  for (let round = -1; round < rounds; round += 1) {
    for (const subject of wanted)
      for (const candidate of candidates) await measure(candidate, { subject, readers, round });
  }
  const report = toReport();
  process.stdout.write(`${print([report])}\n`);
  if (!isQuick && only === undefined) await save([report], postgres.version, 'read');
} finally {
  await Promise.all([...candidates, asker].map(({ stop }) => stop()));
  await postgres.stop();
}

/** Starts all servers on the same database. */
async function startCandidates(): Promise<Person[]> {
  const parley = await startParley(postgres, { profileFolder });
  const rows = await fillRows(parley.database);
  const add = (name: string, server: Program & { port: number }, body: Body) => {
    if (only === undefined || only.includes(name)) candidates.push({ ...server, name, body, figures: new Map() });
  };
  const settings = { DATABASE_URL: parley.database.url, PUBLIC_KEYS: JSON.stringify(publicKeySet(keys)) };
  const start = async (peer: string) => {
    const server = await startServer(`bench/peers/${peer}.ts`, { settings });
    return { ...server, port: Number(new URL(server.url).port) };
  };
  candidates.push({ ...parley, body: parleyBody(rows), figures: new Map() });
  if (only?.includes('hand-written') ?? true) add('hand-written', await start('hand-written'), handWrittenBody(rows));
  if (only?.includes('postgraphile') ?? true) add('postgraphile', await start('postgraphile'), postgraphileBody(rows));
  if (only?.includes('floor') ?? true) add('floor', await start('floor'), floorBody(rows));
  return rows.readers;
}

/**
 * Checks that the floor gives the same answers as parley, because otherwise the two would not be doing the same work.
 */
async function checkAnswers(candidate: Candidate, readers: readonly Person[]): Promise<void> {
  const [parley] = candidates;
  if (candidate.name !== 'floor' || parley === undefined) return;
  for (const subject of wanted) {
    const answers = await Promise.all([parley, candidate].map((each) => askOnce(each, subject, readers)));
    if (answers[0] !== answers[1]) throw new Error(`${subject}:\n${answers.join('\n').slice(0, 4_000)}`);
  }
}

async function askOnce(candidate: Candidate, subject: Subject, readers: readonly Person[]): Promise<string> {
  const { port } = candidate;
  const requests = await requestsOf(candidate, subject, readers);
  const { sample } = await asker.remote.call('ask', { port, requests, connections: 1, ms: 0 });
  return sample;
}

async function requestsOf({ body }: Candidate, subject: Subject, readers: readonly Person[]) {
  for (const reader of readers) if (!tokens.has(reader)) tokens.set(reader, await signToken(reader));
  return readers.map((reader) => ({ body: body(subject, reader), token: tokens.get(reader) ?? '' }));
}

/** Round -1 is a longer warm-up, because the first requests compile the server's code. */
async function measure(
  candidate: Candidate,
  { subject, readers, round }: { subject: Subject; readers: readonly Person[]; round: number },
): Promise<void> {
  const { pid, port, figures } = candidate;
  const requests = await requestsOf(candidate, subject, readers);
  const before = { server: cpuMs(pid), database: familyCpuMs(postgres.pid), at: performance.now() };
  const asked = await asker.remote.call('ask', { port, requests, connections, ms: round === -1 ? 2 * ms : ms });
  const seconds = (performance.now() - before.at) / 1_000;
  if (round === -1) return;
  const known = figures.get(subject) ?? { asked: [], serverMs: [], databaseMs: [], perSecond: [] };
  figures.set(subject, known);
  known.asked.push(asked);
  known.serverMs.push((cpuMs(pid) - before.server) / asked.count);
  known.databaseMs.push((familyCpuMs(postgres.pid) - before.database) / asked.count);
  known.perSecond.push(asked.count / seconds);
}

function toReport(): Report {
  const median = (values: readonly number[] = []) => percentile(values, 50);
  return {
    title: `Reading: ${connections} connections, ${rounds} rounds of ${ms / 1_000} s, all servers in turn on the same rows`,
    columns: [
      'what',
      'server',
      'requests/s',
      'p50 ms',
      'p99 ms',
      'server CPU ms each',
      'database CPU ms each',
      'bytes',
    ],
    rows: wanted.flatMap((subject) =>
      candidates.map(({ name, figures }) => {
        const { asked = [], serverMs, databaseMs, perSecond } = figures.get(subject) ?? {};
        return [
          subject,
          name,
          median(perSecond).toFixed(0),
          median(asked.map(({ p50 }) => p50)).toFixed(1),
          median(asked.map(({ p99 }) => p99)).toFixed(1),
          median(serverMs).toFixed(3),
          median(databaseMs).toFixed(3),
          median(asked.map(({ bytes }) => bytes)).toFixed(0),
        ];
      }),
    ),
    notes: [
      'Medians of the rounds. The floor returns the same JSON as parley, without GraphQL and without authentication. PostGraphile',
      'checks no token and no visibility, and the hand-written stack checks a membership only where the page says so. Goals are medians',
      'of the ratios within a round.',
    ],
    goals: toGoals(),
  };
}

function toGoals(): Goal[] {
  const cpuOf = (name: string, subject: Subject) =>
    candidates.find((candidate) => candidate.name === name)?.figures.get(subject)?.serverMs;
  const goal = (subject: Subject, [above, below]: [string, string], limit: Partial<Goal>): Goal[] => {
    const [one, other] = [cpuOf(above, subject), cpuOf(below, subject)];
    if (one === undefined || other === undefined) return [];
    const name = `${subject}: CPU of ${above}, against ${below}`;
    return [{ name, value: summarise(ratios(one, other)).median, unit: '×', ...limit }];
  };
  return [
    ...goal('page of 50', ['parley', 'floor'], { atMost: 1.5 }),
    ...goal('page of 50', ['hand-written', 'parley'], { atLeast: 5 }),
    ...goal('chat list of 20', ['hand-written', 'parley'], { atLeast: 5 }),
    ...goal('viewer', ['hand-written', 'parley'], { atLeast: 6 }),
  ];
}
