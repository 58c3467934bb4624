import { setTimeout as sleep } from 'node:timers/promises';
import { Audience, type Bench, type Report } from '../bench.ts';
import { addGroup, addPeople } from '../database.ts';
import { cpuMs, rssBytes } from '../process.ts';
import { startParley } from '../server.ts';
import { summarise } from '../statistic.ts';
import { nodeBackendsMs } from './backend.ts';

const perChat = 20;
const chatsEach = 10;

/**
 * Measures what it costs to open a stream (its token, memberships and position in the log), with and without a cursor.
 */
export async function measureConnect(bench: Bench): Promise<Report[]> {
  const size = bench.isQuick ? 500 : 3_000;
  const server = await startParley(bench.postgres, bench);
  const people = await addPeople(server.database, size);
  for (let index = 0; index < (size * chatsEach) / perChat; index += 1) {
    const members = Array.from(
      { length: perChat },
      (_, at) => people[(index * perChat + at * (1 + (index % 7))) % size],
    );
    await addGroup(server.database, [...new Set(members.filter((person) => person !== undefined))]);
  }
  const crowd = await server.admit(people);
  const [reader] = people;
  if (reader === undefined) throw new Error('no users were added');
  const { cursor } = await bench.load.call('replay', { crowd: await server.admit([reader]), after: null });
  const rows: (string | number)[][] = [];
  for (const [what, after] of [
    ['new', null],
    ['with a cursor, nothing missed', cursor],
  ] as const) {
    const figures = { node: [] as number[], postgres: [] as number[], seconds: [] as number[] };
    for (let round = 0; round <= Math.min(3, bench.rounds); round += 1) {
      const before = {
        node: cpuMs(server.pid),
        postgres: await nodeBackendsMs(server.database),
        at: performance.now(),
      };
      const audience = await Audience.open(bench, 'connect', { ...crowd, ...(after !== null && { after }) });
      const seconds = (performance.now() - before.at - 500) / 1_000;
      const node = (1_000 * (cpuMs(server.pid) - before.node)) / size;
      const postgres = (1_000 * ((await nodeBackendsMs(server.database)) - before.postgres)) / size;
      bench.say(`connect, ${what}: node ${node.toFixed(0)} µs, ${(size / seconds).toFixed(0)} streams/s`);
      await audience.close();
      await sleep(1_500);
      if (round === 0) continue;
      figures.node.push(node);
      figures.postgres.push(postgres);
      figures.seconds.push(seconds);
    }
    const [node, postgres, seconds] = [figures.node, figures.postgres, figures.seconds].map(
      (values) => summarise(values).median,
    );
    rows.push([what, node?.toFixed(0) ?? '', postgres?.toFixed(0) ?? '', (size / (seconds ?? 1)).toFixed(0)]);
  }
  const rss = rssBytes(server.pid);
  await server.stop();
  return [
    {
      title: 'Opening a stream',
      columns: ['stream', 'node, µs', 'PostgreSQL, µs', 'streams/s'],
      rows,
      notes: [
        `${size.toLocaleString('en')} users in about ${chatsEach} chats each, 50 at a time. The server used ${(rss / 1e6).toFixed(0)} MB afterwards.`,
      ],
      goals: [],
    },
  ];
}
