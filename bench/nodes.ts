import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Audience, startLoad, type Report } from './bench.ts';
import { addGroup, addPeople, startPostgres, type Database } from './database.ts';
import { cpuMs, familyCpuMs, startHelper } from './process.ts';
import { startRedis } from './redis.ts';
import { print, save } from './result.ts';
import { startParley, type Parley } from './server.ts';
import type { WriterMethods } from './writer.ts';

const { values } = parseArgs({ options: { quick: { type: 'boolean', default: false } } });
const isQuick = values.quick;
const counts = isQuick ? [1, 2] : [1, 2, 4, 8];
const perSecond = 100;
const seconds = isQuick ? 3 : 15;
const peoplePerNode = 20;

type Statement = { query: string; calls: number };
type Case = { nodes: number; hasRedis: boolean };
type Figures = Case & {
  reading: number;
  rows: number;
  other: number;
  p50: number;
  p99: number;
  nodeMs: number;
  postgresMs: number;
  redisMs: number;
};

const postgres = await startPostgres({
  shared_preload_libraries: 'pg_stat_statements',
  'pg_stat_statements.track': 'top',
});
const redis = await startRedis();
const load = startLoad();
const stop = () => Promise.allSettled([load.stop(), redis.stop(), postgres.stop()]);
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => void stop().then(() => process.exit(1)));
try {
  const all: Figures[] = [];
  for (const nodes of counts) {
    for (const hasRedis of [false, true]) {
      const figures = await measure({ nodes, hasRedis });
      process.stderr.write(`${JSON.stringify(figures)}\n`);
      all.push(figures);
    }
  }
  const reports = [toReport(all)];
  process.stdout.write(print(reports));
  if (!isQuick) await save(reports, postgres.version, 'nodes');
} finally {
  await stop();
}

/** Sends messages to one chat whose members are spread over the nodes. */
async function measure({ nodes: count, hasRedis }: Case): Promise<Figures> {
  const settings = hasRedis ? { REDIS_URL: redis.url } : {};
  const first = await startParley(postgres, { settings });
  const { database } = first;
  const nodes = [first];
  while (nodes.length < count) nodes.push(await startParley(postgres, { settings, database }));
  await database.sql.query('create extension pg_stat_statements');
  const people = await addPeople(database, peoplePerNode * count);
  const task = { url: database.url, chatId: await addGroup(database, people), senderId: people[0]?.userId ?? '' };
  const crowd = { ...(await first.admit(people)), ports: nodes.map(({ port }) => port) };
  const audience = await Audience.open({ load: load.remote }, `${count} ${hasRedis}`, crowd);
  const writer = startHelper<WriterMethods>('bench/writer.ts');
  const warmUp = await writer.remote.call('write', { ...task, perSecond, seconds: 2 });
  await audience.receive(warmUp.sentAt.length * audience.size);
  // A node that receives events from Redis stops listening to PostgreSQL after a few seconds.
  await sleep(8_000);

  const total = perSecond * seconds;
  const nextSeq = warmUp.firstSeq + warmUp.sentAt.length;
  await load.remote.call('record', { group: audience.name, firstSeq: nextSeq, count: total });
  const before = await takeStock(nodes, database);
  const written = await writer.remote.call('write', { ...task, perSecond, seconds });
  await audience.receive(total * audience.size);
  const after = await takeStock(nodes, database);
  const { p50, p99 } = await load.remote.call('latencies', { group: audience.name, stamps: written.committedAt });
  await audience.close();
  await Promise.all([writer.stop(), ...nodes.map((node) => node.stop())]);
  const callsOf = (isWanted: (name: string) => boolean) =>
    after.statements.reduce((sum, { query, calls }) => {
      const known = before.statements.find((other) => other.query === query)?.calls ?? 0;
      return isWanted(query) ? sum + calls - known : sum;
    }, 0) / total;
  return {
    nodes: count,
    hasRedis,
    reading: callsOf(isReading),
    rows: callsOf(isRows),
    other: callsOf(isOther),
    p50,
    p99,
    nodeMs: (after.nodesMs - before.nodesMs) / total / count,
    postgresMs: (after.postgresMs - before.postgresMs) / total,
    redisMs: (after.redisMs - before.redisMs) / total,
  };
}

async function takeStock(nodes: readonly Parley[], { sql }: Database) {
  const { rows: statements } = await sql.query<Statement>(
    `select query, sum(calls)::int as calls from pg_stat_statements s join pg_database d on d.oid = s.dbid
    where d.datname = current_database() group by query`,
  );
  return {
    statements,
    nodesMs: nodes.reduce((sum, { pid }) => sum + cpuMs(pid), 0),
    postgresMs: familyCpuMs(postgres.pid),
    redisMs: cpuMs(redis.pid),
  };
}

/** Returns whether a statement follows the log. */
function isReading(query: string): boolean {
  return /from event_log l\s+left join lateral|m\.since_event = added\.event_id/.test(query);
}

/** Returns whether a statement reads the data that documents show about an event: messages, users and related rows. */
function isRows(query: string): boolean {
  return /^\s*(select|with)\b/i.test(query) && /\bfrom (messages|users|chats)\b/.test(query) && !isReading(query);
}

/**
 * Returns whether a statement is of any other kind, including the writer's statements other than inserts. The number of
 * such statements per message must not grow with the number of nodes.
 */
function isOther(query: string): boolean {
  const isMeasuring = /pg_stat_statements|insert into messages|^(begin|commit)/i.test(query);
  return !isReading(query) && !isRows(query) && !isMeasuring;
}

function toReport(all: readonly Figures[]): Report {
  const rows = all.map(({ nodes, hasRedis, reading, rows: ofRows, other, p50, p99, nodeMs, postgresMs, redisMs }) => [
    nodes,
    hasRedis ? 'yes' : 'no',
    ...[reading, ofRows, other, p50, p99, nodeMs, postgresMs, redisMs].map((value) => value.toFixed(2)),
  ]);
  const single = all.find(({ nodes, hasRedis }) => nodes === 1 && !hasRedis);
  const largest = all.findLast(({ hasRedis }) => hasRedis);
  return {
    title: `${perSecond} messages/s in one chat, ${peoplePerNode} streams on each node`,
    columns: [
      'nodes',
      'Redis',
      'statements that read the log, per event',
      'statements for rows, per event',
      'all other statements, per event',
      'commit → frame p50, ms',
      'p99',
      'CPU of a node per event, ms',
      'CPU of PostgreSQL per event, ms',
      'CPU of Redis per event, ms',
    ],
    rows,
    notes: [
      `Each message is a commit of its own. Each run takes ${seconds} s. Statements are counted by pg_stat_statements; "all other" includes those of the writer. All nodes, PostgreSQL, Redis and the ${peoplePerNode} × nodes clients share this machine, so latencies grow with the number of nodes where separate machines would not.`,
    ],
    goals: [
      {
        name: `statements that read the log, ${largest?.nodes ?? 0} nodes with Redis`,
        value: largest?.reading ?? Number.NaN,
        atMost: (single?.reading ?? Number.NaN) * 1.1,
        unit: 'per event',
      },
      {
        name: `statements for rows, ${largest?.nodes ?? 0} nodes with Redis`,
        value: largest?.rows ?? Number.NaN,
        atMost: (single?.rows ?? Number.NaN) * 1.1,
        unit: 'per event',
      },
    ],
  };
}
