import { setTimeout as sleep } from 'node:timers/promises';
import { Audience, startLoad, type Bench, type Goal, type Report } from './bench.ts';
import { addGroup, addPeople, post } from './database.ts';
import type { Crowd } from './load.ts';
import { cpuMs, familyCpuMs } from './process.ts';
import { peerNames, startParley, startPeer, type Server } from './server.ts';
import { ratios, summarise } from './statistic.ts';

/** A server whose subscribers are connected. */
type Contestant = {
  name: string;
  pid: number;
  audience: Audience;
  publish: (count: number) => Promise<void>;
  /** Deliveries in one round, enough for a CPU clock with a resolution of 10 ms. */
  deliveries: number;
  stop: () => Promise<void>;
};

const burst = 20;

/** µs of CPU time per delivery, one value per round. */
type Figures = { single: number[]; burst: number[] };

/** Measures the cost of delivering to many subscribers of one chat, for single events and for bursts. */
export async function measureFanOut(bench: Bench): Promise<Report[]> {
  const sizes = bench.isQuick ? [300] : [1_000, 5_000];
  const reports: Report[] = [];
  for (const size of sizes) reports.push(await measureSize(bench, size));
  return reports;
}

async function measureSize(bench: Bench, size: number): Promise<Report> {
  const contestants = [await openParley(bench, size), ...(await openPeers(bench, size))];
  const figures = new Map<string, Figures>(contestants.map(({ name }) => [name, { single: [], burst: [] }]));
  const postgresMs: number[] = [];
  // The first round is a warm-up. Each round measures every server, so that a slow minute on the machine affects all
  // servers equally.
  for (let round = 0; round <= bench.rounds; round += 1) {
    for (const contestant of contestants) {
      const postgresBefore = familyCpuMs(bench.postgres.pid);
      const events = Math.max(5, Math.ceil(contestant.deliveries / size));
      const single = await measureRound(contestant, { publications: events, count: 1 });
      if (contestant.name === 'parley' && round > 0) {
        postgresMs.push((familyCpuMs(bench.postgres.pid) - postgresBefore) / events);
      }
      const bursts = await measureRound(contestant, { publications: Math.ceil(events / burst), count: burst });
      bench.say(
        `fan-out ${size}, round ${round}, ${contestant.name}: ${single.toFixed(2)} and ${bursts.toFixed(2)} µs`,
      );
      if (round === 0) continue;
      figures.get(contestant.name)?.single.push(single);
      figures.get(contestant.name)?.burst.push(bursts);
    }
  }
  for (const contestant of contestants) await contestant.stop();
  return toReport(size, figures, summarise(postgresMs).median);
}

async function openParley(bench: Bench, size: number): Promise<Contestant> {
  const server = await startParley(bench.postgres, bench);
  const { database } = server;
  const people = await addPeople(database, size);
  const chatId = await addGroup(database, people);
  const senderId = people[0]?.userId ?? '';
  return {
    ...server,
    ...(await openAudience(server, await server.admit(people))),
    publish: (count) => post(database, { chatId, senderId }, count),
    deliveries: bench.isQuick ? 20_000 : 200_000,
  };
}

async function openPeers(bench: Bench, size: number): Promise<Contestant[]> {
  const contestants: Contestant[] = [];
  for (const name of peerNames) {
    const peer = await startPeer(name);
    const deliveries = name === 'bare' ? 200_000 : 50_000;
    contestants.push({
      ...peer,
      ...(await openAudience(peer, peer.admit(size))),
      deliveries: bench.isQuick ? deliveries / 10 : deliveries,
    });
  }
  return contestants;
}

/**
 * Each server has its own load process, because a process has a limited number of sockets. Only one load process works
 * at a time.
 */
async function openAudience(server: Server, crowd: Crowd): Promise<Pick<Contestant, 'audience' | 'stop'>> {
  const load = startLoad();
  const audience = await Audience.open({ load: load.remote }, server.name, crowd);
  return {
    audience,
    stop: async () => {
      await load.stop();
      await server.stop();
    },
  };
}

async function measureRound(
  { pid, audience, publish }: Contestant,
  { publications, count }: { publications: number; count: number },
): Promise<number> {
  const before = cpuMs(pid);
  for (let publication = 0; publication < publications; publication += 1) {
    await publish(count);
    await audience.receive(count * audience.size);
  }
  // Waits, so that the work that the server does after its last write counts too.
  await sleep(50);
  return (1_000 * (cpuMs(pid) - before)) / (publications * count * audience.size);
}

function toReport(size: number, figures: Map<string, Figures>, postgresMs: number): Report {
  const of = (name: string) => figures.get(name) ?? { single: [], burst: [] };
  const bare = of('bare').single;
  const rows = [...figures].map(([name, { single, burst: bursts }]) => [
    name,
    ...[single, ratios(single, bare), bursts, ratios(bursts, bare)].flatMap((values) => describe(values)),
  ]);
  const median = (values: number[]) => summarise(values).median;
  const goals: Goal[] = [
    {
      name: `single events, against the bare loop (${size})`,
      value: median(ratios(of('parley').single, bare)),
      atMost: 1.25,
      unit: '×',
    },
    {
      name: `single events, graphql-yoga against this server (${size})`,
      value: median(ratios(of('yoga').single, of('parley').single)),
      atLeast: 6,
      unit: '×',
    },
    {
      name: `bursts, against the bare loop's single events (${size})`,
      value: median(ratios(of('parley').burst, bare)),
      atMost: 0.5,
      unit: '×',
    },
  ];
  return {
    title: `Fan-out to ${size.toLocaleString('en')} subscribers of one chat: CPU time of the server`,
    columns: [
      'server',
      'one at a time, µs per delivery',
      'against bare',
      `bursts of ${burst}, µs per delivery`,
      'against bare, one at a time',
    ],
    rows,
    notes: [
      `PostgreSQL spent ${postgresMs.toFixed(2)} ms of CPU time per single event of parley, including the insert.`,
    ],
    goals,
  };
}

function describe(values: readonly number[]): string[] {
  const { median, spreadPercent } = summarise(values);
  return [`${median.toFixed(2)} ±${spreadPercent.toFixed(0)} %`];
}
