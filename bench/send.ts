import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { Audience, startLoad, type Report } from './bench.ts';
import {
  chatCount,
  prepareHandWritten,
  prepareParley,
  preparePostgraphile,
  senderCount,
  type Candidate,
} from './candidate.ts';
import { startPostgres, type Postgres } from './database.ts';
import { cpuMs, familyCpuMs, startHelper } from './process.ts';
import { print, save } from './result.ts';
import type { SenderMethods, Sent } from './sender.ts';

type Figures = Sent & { name: string; serverMs: number; databaseMs: number; late: number | null };

const isQuick = process.argv.includes('--quick');
const only = process.argv.find((argument) => argument.startsWith('--only='))?.slice(7);
const profileFolder = process.argv.find((argument) => argument.startsWith('--profile='))?.slice(10);
const ms = isQuick ? 3_000 : 10_000;

/**
 * Sends messages for a while and checks that the subscribers, if there are any, receive every message. The CPU time
 * comes from the operating system.
 */
async function measure(postgres: Postgres, candidate: Candidate): Promise<Figures> {
  const load = startLoad();
  const sender = startHelper<SenderMethods>('bench/sender.ts');
  const { name, pid, crowd } = candidate;
  try {
    const audience = crowd === null ? null : await Audience.open({ load: load.remote }, name, crowd);
    const { port, query, acknowledged, senders } = candidate;
    await sender.remote.call('begin', { port, query, acknowledged, senders, warmUpMs: ms / 3, ms });
    const before = { server: cpuMs(pid), database: familyCpuMs(postgres.pid) };
    const sent = await sender.remote.call('end');
    const after = { server: cpuMs(pid), database: familyCpuMs(postgres.pid) };
    await audience?.receive(sent.warmUp + sent.count);
    return {
      ...sent,
      name,
      serverMs: (after.server - before.server) / sent.count,
      databaseMs: (after.database - before.database) / sent.count,
      late: audience === null ? null : await audience.countLate(),
    };
  } finally {
    await Promise.all([load.stop(), sender.stop(), candidate.stop()]);
    await sleep(1_000);
  }
}

const candidates = {
  parley: (on: Postgres) => prepareParley(on, profileFolder),
  'hand-written': prepareHandWritten,
  postgraphile: preparePostgraphile,
};
const postgres = await startPostgres();
try {
  const figures: Figures[] = [];
  for (const [name, prepare] of Object.entries(candidates)) {
    if (only !== undefined && only !== name) continue;
    figures.push(await measure(postgres, await prepare(postgres)));
    process.stdout.write(`${JSON.stringify(figures.at(-1))}\n`);
  }
  const report = toReport(figures);
  process.stdout.write(`${print([report])}\n`);
  if (!isQuick && only === undefined) await save([report], postgres.version, 'send');
} finally {
  await postgres.stop();
}

function toReport(figures: Figures[]): Report {
  const [ours, theirs] = [
    figures.find(({ name }) => name === 'parley'),
    figures.find(({ name }) => name === 'hand-written'),
  ];
  return {
    title: `Sending: ${senderCount} senders, ${chatCount} chats with a subscriber each`,
    columns: ['server', 'messages/s', 'p50 ms', 'p99 ms', 'server CPU ms each', 'database CPU ms each', 'out of order'],
    rows: figures.map(({ name, perSecond, p50, p99, serverMs, databaseMs, late }) => [
      name,
      perSecond.toFixed(0),
      p50.toFixed(1),
      p99.toFixed(1),
      serverMs.toFixed(3),
      databaseMs.toFixed(3),
      late ?? '–',
    ]),
    notes: ['Every message was acknowledged after its commit and delivered. PostGraphile has no subscribers.'],
    goals:
      ours === undefined || theirs === undefined
        ? []
        : [
            {
              name: 'messages per second',
              value: ours.perSecond / theirs.perSecond,
              atLeast: 8,
              unit: '× hand-written',
            },
            {
              name: 'CPU per message, server and database',
              value: (ours.serverMs + ours.databaseMs) / (theirs.serverMs + theirs.databaseMs),
              atMost: 0.1,
              unit: '× hand-written',
            },
            { name: "p99 below the hand-written stack's p50", value: ours.p99 / theirs.p50, atMost: 1, unit: '×' },
          ],
  };
}
