import { Audience, type Bench, type Goal, type Report } from './bench.ts';
import { addGroup, addPeople } from './database.ts';
import { cpuMs, familyCpuMs, startHelper } from './process.ts';
import { startParley } from './server.ts';
import type { WriterMethods } from './writer.ts';

/** Measures how long after its commit a message reaches each of 100 subscribers. */
export async function measureLatency(bench: Bench): Promise<Report[]> {
  const seconds = bench.isQuick ? 4 : 20;
  const server = await startParley(bench.postgres, bench);
  const { database } = server;
  const people = await addPeople(database, 100);
  const chatId = await addGroup(database, people);
  const senderId = people[0]?.userId ?? '';
  const audience = await Audience.open(bench, server.name, await server.admit(people));
  const writer = startHelper<WriterMethods>('bench/writer.ts');
  const task = { url: database.url, chatId, senderId };

  // Writes for a while before recording anything, so that all code is compiled.
  const warmUp = await writer.remote.call('write', { ...task, perSecond: 500, seconds: bench.isQuick ? 1 : 5 });
  await audience.receive(warmUp.sentAt.length * audience.size);
  let nextSeq = warmUp.firstSeq + warmUp.sentAt.length;

  const rows: (string | number)[][] = [];
  const goals: Goal[] = [];
  for (const perSecond of [100, 1_000]) {
    const count = perSecond * seconds;
    await bench.load.call('record', { group: audience.name, firstSeq: nextSeq, count });
    const before = { server: cpuMs(server.pid), postgres: familyCpuMs(bench.postgres.pid), at: performance.now() };
    const written = await writer.remote.call('write', { ...task, perSecond, seconds });
    const tookMs = performance.now() - before.at;
    await audience.receive(count * audience.size);
    const since = (stamps: number[]) => bench.load.call('latencies', { group: audience.name, stamps });
    const fromCommit = await since(written.committedAt);
    const fromSending = await since(written.sentAt);
    bench.say(`latency at ${perSecond}/s: p50 ${fromCommit.p50.toFixed(2)} ms, p99 ${fromCommit.p99.toFixed(2)} ms`);
    rows.push([
      perSecond.toLocaleString('en'),
      ((1_000 * count) / tookMs).toFixed(0),
      (count / written.transactions).toFixed(1),
      ...[fromCommit.p50, fromCommit.p99, fromCommit.max, fromSending.p50, fromSending.p99].map((ms) => ms.toFixed(2)),
      percent(cpuMs(server.pid) - before.server, tookMs),
      percent(familyCpuMs(bench.postgres.pid) - before.postgres, tookMs),
    ]);
    if (perSecond === 1_000) {
      goals.push({ name: 'commit to frame, p50 at 1,000 messages/s', value: fromCommit.p50, atMost: 5, unit: 'ms' });
    }
    nextSeq += count;
  }
  await audience.close();
  await writer.stop();
  await server.stop();
  return [
    {
      title: 'From commit to frame, 100 subscribers',
      columns: [
        'messages/s',
        'reached',
        'messages per transaction',
        'commit → frame p50, ms',
        'p99',
        'max',
        'INSERT sent → frame p50, ms',
        'p99',
        'CPU of the server',
        'CPU of PostgreSQL',
      ],
      rows,
      notes: [
        `Over all messages of ${seconds} s and all subscribers. One writer runs one transaction at a time; each inserts the messages that came due during the previous one, as group commit does. The commit time is when the writer's INSERT, which is its own transaction, has returned.`,
      ],
      goals,
    },
  ];
}

function percent(cpu: number, ms: number): string {
  return `${((100 * cpu) / ms).toFixed(0)} %`;
}
