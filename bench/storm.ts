import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { Audience, startLoad, type Report } from './bench.ts';
import { addGroup, addPeople, post, startPostgres, type Database, type Postgres } from './database.ts';
import type { Crowd } from './load.ts';
import { cpuMs, familyCpuMs, peakRssBytes, resetPeakRss, rssBytes, startHelper } from './process.ts';
import { print, save } from './result.ts';
import { startParley } from './server.ts';
import type { WriterMethods } from './writer.ts';

const isQuick = process.argv.includes('--quick');
const profileFolder = process.argv.find((argument) => argument.startsWith('--profile='))?.slice(10);

/**
 * How many readers reconnect, the minimum number of events that each reader has missed, and how far apart their cursors
 * are.
 */
const size = isQuick ? { readers: 200, missed: 500, spread: 250 } : { readers: 1_000, missed: 1_000, spread: 500 };
const rounds = isQuick ? 2 : 5;
/**
 * The number of users who stay connected in another chat, and the number of messages that they get during the storm.
 */
const live = { count: 50, perSecond: 20, seconds: isQuick ? 5 : 15 };

type Round = {
  seconds: number;
  serverUs: number;
  postgresUs: number;
  peakMb: number;
  p50: number;
  p99: number;
  max: number;
};

const postgres = await startPostgres();
try {
  const report = await measure(postgres);
  process.stdout.write(`${print([report])}\n`);
  if (!isQuick) await save([report], postgres.version, 'storm');
} finally {
  await postgres.stop();
}

/** Measures many clients that reconnect at once, as after a deployment, while other clients keep receiving. */
async function measure(on: Postgres): Promise<Report> {
  const server = await startParley(on, { profileFolder });
  const people = await addPeople(server.database, size.readers + live.count);
  const readers = people.slice(0, size.readers);
  const others = people.slice(size.readers);
  const chatId = await addGroup(server.database, readers);
  const otherChatId = await addGroup(server.database, others);
  const [load, calm] = [startLoad(), startLoad()];
  const { cursor } = await load.remote.call('replay', { crowd: await server.admit(readers.slice(0, 1)), after: null });
  await post(server.database, { chatId, senderId: readers[0]?.userId ?? '' }, size.missed + size.spread);
  const { afters, missed } = await readCursors(server.database, { chatId, epoch: cursor.split('.')[0] ?? '' });
  const audience = await Audience.open({ load: calm.remote }, 'others', await server.admit(others));
  const writer = startHelper<WriterMethods>('bench/writer.ts');
  await sleep(2_000);
  const figures: Round[] = [];
  let firstSeq = 1;
  // The first round warms up.
  for (let round = 0; round <= rounds; round += 1) {
    const count = live.perSecond * live.seconds;
    await calm.remote.call('record', { group: 'others', firstSeq, count });
    const task = { url: server.database.url, chatId: otherChatId, senderId: others[0]?.userId ?? '' };
    const writing = writer.remote.call('write', { ...task, perSecond: live.perSecond, seconds: live.seconds });
    await sleep(500);
    const crowd = { ...(await server.admit(readers)), afters };
    const storm = await measureStorm({ server, postgres: on, crowd, load: load.remote, missed });
    const { committedAt } = await writing;
    await audience.receive(count * others.length);
    const latency = await calm.remote.call('latencies', { group: 'others', stamps: committedAt });
    firstSeq += count;
    if (round > 0) figures.push({ ...storm, ...latency });
    process.stderr.write(`${JSON.stringify({ ...storm, ...latency })}\n`);
  }
  await Promise.all([load.stop(), calm.stop(), writer.stop(), server.stop()]);
  return describe(figures, missed);
}

type Storm = {
  server: { pid: number };
  postgres: Postgres;
  crowd: Crowd;
  load: ReturnType<typeof startLoad>['remote'];
  missed: number;
};

async function measureStorm({ server, postgres: { pid }, crowd, load, missed }: Storm) {
  resetPeakRss(server.pid);
  const rss = rssBytes(server.pid);
  const before = { at: performance.now(), server: cpuMs(server.pid), postgres: familyCpuMs(pid) };
  // Resolves when all readers have caught up.
  await load.call('open', { group: 'storm', crowd });
  const seconds = (performance.now() - before.at) / 1_000;
  await load.call('reached', { group: 'storm', messages: missed });
  const spent = { server: cpuMs(server.pid) - before.server, postgres: familyCpuMs(pid) - before.postgres };
  await load.call('close', { group: 'storm' });
  return {
    seconds,
    serverUs: (1_000 * spent.server) / missed,
    postgresUs: (1_000 * spent.postgres) / missed,
    peakMb: (peakRssBytes(server.pid) - rss) / 1e6,
  };
}

/** A cursor for each reader, and the total number of messages that the readers have missed. */
async function readCursors({ sql }: Database, { chatId, epoch }: { chatId: string; epoch: string }) {
  const { rows } = await sql.query<{ id: string }>(
    // Uses `e.id`, because `id` alone would refer to the result column, which is text.
    `select id::text from events e where chat_id = $1 and kind = 'NewMessage' order by e.id`,
    [chatId],
  );
  const seen = Array.from({ length: size.readers }, (_, index) => index % size.spread);
  const afters = seen.map((count) => `${epoch}.${rows[count]?.id}`);
  return { afters, missed: seen.reduce((sum, count) => sum + rows.length - 1 - count, 0) };
}

function describe(figures: readonly Round[], missed: number): Report {
  const median = (of: (round: Round) => number) => figures.map(of).toSorted((a, b) => a - b)[figures.length >> 1] ?? 0;
  return {
    title: `Storm: ${size.readers.toLocaleString('en')} readers come back at once, at least ${size.missed.toLocaleString('en')} events behind`,
    columns: [
      'seconds',
      'events/s',
      'CPU of the server, µs per event',
      'CPU of PostgreSQL',
      'peak above idle, MB',
      'live p50, ms',
      'p99',
      'max',
    ],
    rows: figures.map((round) => [
      round.seconds.toFixed(1),
      Math.round(missed / round.seconds).toLocaleString('en'),
      round.serverUs.toFixed(2),
      round.postgresUs.toFixed(2),
      round.peakMb.toFixed(0),
      ...[round.p50, round.p99, round.max].map((ms) => ms.toFixed(0)),
    ]),
    notes: [
      `One line for each round. All readers are in one chat, with ${size.spread} different cursors; ${missed.toLocaleString('en')} events were delivered in a`,
      `round, each once and in order. Meanwhile ${live.count} users in another chat received ${live.perSecond} messages per second: "live" is the time from`,
      'the commit to the frame. CPU includes opening the streams.',
    ],
    goals: [
      {
        name: 'CPU of the server per delivered event',
        value: median(({ serverUs }) => serverUs),
        atMost: 3,
        unit: 'µs',
      },
      { name: 'live delivery to others, at most', value: median(({ max }) => max), atMost: 1_000, unit: 'ms' },
    ],
  };
}
