import { setTimeout as sleep } from 'node:timers/promises';
import { Audience, type Bench, type Report } from '../bench.ts';
import { addGroup, addPeople, type Database, type Person } from '../database.ts';
import { contentOf } from '../document.ts';
import { cpuMs } from '../process.ts';
import { startParley, type Parley } from '../server.ts';
import { nodeBackendsMs } from './backend.ts';
import { fit, type Point } from './fit.ts';

type Place = { chatId: string; sender: Person };

/**
 * Measures what a node and its connections to PostgreSQL spend on following the log, per batch of events and per event.
 * Half of the events concern no one on the node, because with many nodes most events concern no one on a given node.
 */
export async function measureFollow(bench: Bench): Promise<Report[]> {
  const chats = 400;
  const server = await startParley(bench.postgres, bench);
  const senders = await addPeople(server.database, 2 * chats);
  const [readers, others] = [senders.slice(0, chats), senders.slice(chats)];
  const here: Place[] = [];
  const elsewhere: Place[] = [];
  for (const [index, sender] of others.entries()) {
    here.push({ chatId: await addGroup(server.database, [sender, readers[index] ?? sender]), sender });
    elsewhere.push({ chatId: await addGroup(server.database, [sender]), sender });
  }
  const audience = await Audience.open(bench, 'follow', await server.admit(readers));
  const rows: (string | number)[][] = [];
  for (const [what, places, heard] of [
    ['its chat has one stream on the node', here, 1],
    ['its chat has no stream on the node', elsewhere, 0],
  ] as const) {
    const figures = await measurePlaces(bench, { server, audience, places, heard });
    rows.push([what, ...figures.map((value) => value.toFixed(1))]);
  }
  await audience.close();
  await server.stop();
  return [
    {
      title: 'Following the log',
      columns: [
        'a message, if',
        'node, µs per batch',
        'node, µs per message',
        'PostgreSQL, µs per batch',
        'PostgreSQL, µs per message',
      ],
      rows,
      notes: [
        'Fitted to batches of 1, 10 and 100 messages to as many chats, one batch at a time. PostgreSQL: the CPU time that its connections to the node take, so without the insert.',
      ],
      goals: [],
    },
  ];
}

type Task = { server: Parley; audience: Audience; places: readonly Place[]; heard: number };

async function measurePlaces(bench: Bench, task: Task): Promise<number[]> {
  const node: Point[] = [];
  const postgres: Point[] = [];
  // Warms up until all code has been compiled.
  for (const size of [1, 10, 100]) await measureRounds(bench, task, size);
  for (const size of [1, 10, 100]) {
    const measured = await measureRounds(bench, task, size);
    const [times, things] = [measured.batches, measured.batches * size];
    node.push({ times, things, cost: 1_000 * measured.node });
    postgres.push({ times, things, cost: 1_000 * measured.postgres });
    bench.say(`follow, ${size} at a time: node ${(measured.node / times).toFixed(2)} ms per batch`);
  }
  const [ofNode, ofPostgres] = [fit(node), fit(postgres)];
  return [ofNode.each, ofNode.per, ofPostgres.each, ofPostgres.per];
}

async function measureRounds(
  { isQuick }: Bench,
  { server, audience, places, heard }: Task,
  size: number,
): Promise<{ batches: number; node: number; postgres: number }> {
  const batches = Math.ceil((isQuick ? 200 : 1_500) / Math.sqrt(size));
  const before = { node: cpuMs(server.pid), postgres: await nodeBackendsMs(server.database) };
  for (let batch = 0; batch < batches; batch += 1) {
    const some = Array.from({ length: size }, (_, index) => places[(batch * size + index) % places.length] as Place);
    await postTo(server.database, some);
    if (heard > 0) await audience.receive(size * heard);
    // Waits a moment, because nothing reports when a batch that concerns no one is done.
    else await sleep(6);
  }
  await sleep(50);
  return {
    batches,
    node: cpuMs(server.pid) - before.node,
    postgres: (await nodeBackendsMs(server.database)) - before.postgres,
  };
}

/** Inserts a message into each of these chats with one statement. */
async function postTo({ sql }: Database, places: readonly Place[]): Promise<void> {
  await sql.query(
    `insert into messages (chat_id, sender_id, content)
    select * from unnest($1::bigint[], $2::bigint[], $3::text[])`,
    [
      places.map(({ chatId }) => chatId),
      places.map(({ sender }) => sender.userId),
      places.map((_, index) => contentOf(index)),
    ],
  );
}
