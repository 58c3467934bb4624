import { setTimeout as sleep } from 'node:timers/promises';
import { findFreePort } from '../src/postgres/embedded/server.ts';
import { Audience, type Bench, type Report } from './bench.ts';
import { addGroup, addPeople } from './database.ts';
import { collectGarbage } from './inspector.ts';
import type { Crowd } from './load.ts';
import { rssBytes } from './process.ts';
import { peerNames, startParley, startPeer, type Server } from './server.ts';

/** Starts a server, and returns it with its subscribers. */
type Start = (nodeFlags: string[]) => Promise<{ server: Server; crowd: Crowd }>;

/** Measures how much RAM an idle stream takes: how much the process grows when thousands of clients subscribe. */
export async function measureMemory(bench: Bench): Promise<Report[]> {
  const size = bench.isQuick ? 500 : 5_000;
  const starts = new Map<string, Start>([['parley', (nodeFlags) => openParley(bench, size, nodeFlags)]]);
  for (const name of peerNames) {
    starts.set(name, async (nodeFlags) => {
      const server = await startPeer(name, nodeFlags);
      return { server, crowd: server.admit(size) };
    });
  }

  const rows: { name: string; asItIs: number; collected: number }[] = [];
  for (const [name, start] of starts) {
    const asItIs = await measureGrowth(bench, start);
    const collected = await measureHeld(bench, start);
    bench.say(`memory, ${name}: ${asItIs.toFixed(1)} KB, and ${collected.toFixed(1)} KB after a collection`);
    rows.push({ name, asItIs, collected });
  }

  return [
    {
      title: `Memory: growth of the server's RSS with ${size.toLocaleString('en')} idle streams`,
      columns: ['server', 'left alone, KB per stream', 'all garbage collected before and after, KB per stream'],
      rows: rows.map(({ name, asItIs, collected }) => [name, asItIs.toFixed(1), collected.toFixed(1)]),
      notes: [
        'A KB is 1,000 bytes. Kernel memory for sockets is not included. Left alone, a process also grows by what V8 reserves for young objects while the streams open, and by garbage that it has not needed to collect.',
      ],
      goals: [
        { name: 'memory per idle stream, left alone', value: rows[0]?.asItIs ?? Number.NaN, atMost: 20, unit: 'KB' },
      ],
    },
  ];
}

async function openParley(bench: Bench, size: number, nodeFlags: string[]): Promise<{ server: Server; crowd: Crowd }> {
  const server = await startParley(bench.postgres, { nodeFlags });
  const people = await addPeople(server.database, size);
  await addGroup(server.database, people);
  return { server, crowd: await server.admit(people) };
}

/** The memory use that an operator sees, in KB per stream. */
async function measureGrowth(bench: Bench, start: Start): Promise<number> {
  const { server, crowd } = await start([]);
  const settle = () => sleep(bench.isQuick ? 3_000 : 20_000);
  return measure(bench, { server, crowd, settle });
}

/** The memory that V8 can't collect, in KB per stream. */
async function measureHeld(bench: Bench, start: Start): Promise<number> {
  const port = await findFreePort();
  const { server, crowd } = await start([`--inspect-port=${port}`, '--inspect-publish-uid=http']);
  const settle = async () => {
    await collectGarbage(server.pid, port);
    await sleep(1_000);
  };
  return measure(bench, { server, crowd, settle });
}

/** Growth of the RSS after `settle`, in KB per stream. Stops the server. */
async function measure(
  bench: Bench,
  { server, crowd, settle }: { server: Server; crowd: Crowd; settle: () => Promise<void> },
): Promise<number> {
  // Opens some streams first. Otherwise, the memory for the program's code and its first garbage would be attributed to
  // the measured streams.
  const few = Math.ceil(crowd.count / 10);
  const tokens = crowd.tokens?.slice(0, few);
  const first = await Audience.open(bench, server.name, { ...crowd, count: few, ...(tokens && { tokens }) });
  await first.close();
  await settle();
  const before = rssBytes(server.pid);
  const audience = await Audience.open(bench, server.name, crowd);
  await settle();
  const growth = rssBytes(server.pid) - before;
  await audience.close();
  await server.stop();
  return growth / crowd.count / 1_000;
}
