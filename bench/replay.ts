import { setTimeout as sleep } from 'node:timers/promises';
import type { Bench, Report } from './bench.ts';
import { addGroup, addPeople, post, whenIndexed } from './database.ts';
import { cpuMs, familyCpuMs } from './process.ts';
import { startParley } from './server.ts';
import { summarise } from './statistic.ts';

/** Measures one reader who reconnects after a long time. */
export async function measureReplay(bench: Bench): Promise<Report[]> {
  const missed = bench.isQuick ? 5_000 : 50_000;
  const server = await startParley(bench.postgres, bench);
  const { database } = server;
  const people = await addPeople(database, 2);
  const chatId = await addGroup(database, people);
  const [reader, writer] = people;
  if (reader === undefined || writer === undefined) throw new Error('two people were added');
  const crowd = await server.admit([reader]);
  const { cursor } = await bench.load.call('replay', { crowd, after: null });
  const batch = 5_000;
  for (let count = 0; count < missed; count += batch) {
    await post(database, { chatId, senderId: writer.userId }, batch);
  }
  // The server reads the log even without subscribers, and it indexes the messages. Neither is part of a replay.
  await sleep(3_000);
  await whenIndexed(database);

  const figures = { seconds: [] as number[], server: [] as number[], postgres: [] as number[], megabytes: 0 };
  for (let round = 0; round < Math.max(3, bench.rounds); round += 1) {
    const before = { server: cpuMs(server.pid), postgres: familyCpuMs(bench.postgres.pid) };
    const { ms, messages, bytes } = await bench.load.call('replay', { crowd, after: cursor });
    if (messages !== missed) throw new Error(`${messages} of ${missed} messages were replayed`);
    bench.say(`replay, round ${round}: ${((1_000 * missed) / ms).toFixed(0)} events/s`);
    figures.seconds.push(ms / 1_000);
    figures.server.push((1_000 * (cpuMs(server.pid) - before.server)) / missed);
    figures.postgres.push((1_000 * (familyCpuMs(bench.postgres.pid) - before.postgres)) / missed);
    figures.megabytes = bytes / 1e6;
  }
  await server.stop();

  const seconds = summarise(figures.seconds);
  return [
    {
      title: `Replay: one reader who missed ${missed.toLocaleString('en')} messages`,
      columns: ['events/s', 'seconds', 'MB', 'CPU of the server, µs per event', 'CPU of PostgreSQL, µs per event'],
      rows: [
        [
          `${Math.round(missed / seconds.median).toLocaleString('en')} ±${seconds.spreadPercent.toFixed(0)} %`,
          seconds.median.toFixed(2),
          figures.megabytes.toFixed(1),
          summarise(figures.server).median.toFixed(1),
          summarise(figures.postgres).median.toFixed(1),
        ],
      ],
      notes: ['Measured from connecting to CaughtUp. Each message arrived once and in order.'],
      goals: [],
    },
  ];
}
