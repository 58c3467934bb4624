import { expect, test } from 'vitest';
import { randomFrom } from '../../bench/random.ts';
import { findCell, readCosts } from '../../bench/sim/cost.ts';
import { rollingPeak, stopNode } from '../../bench/sim/deploy.ts';
import { Engine } from '../../bench/sim/engine.ts';
import { simulate } from '../../bench/sim/size.ts';
import { Station } from '../../bench/sim/station.ts';
import { System } from '../../bench/sim/system.ts';
import type { Plan } from '../../bench/sim/world.ts';

const { costs } = readCosts();
/** One node on one machine with two cores, as in the benchmarks. */
const small: Plan = {
  seed: 1,
  nodes: 1,
  hasRedis: false,
  redisServers: 0,
  postgresCores: 1,
  streams: 100,
  audience: 100,
  messagesPerSecond: 1_000,
  chats: 1,
};

function expectWithin(factor: number, simulated: number, measured: number): void {
  expect(simulated / measured).toBeGreaterThan(1 / factor);
  expect(simulated / measured).toBeLessThan(factor);
}

test('jobs that arrive at random wait as long as theory says, and obey the laws of utilisation and Little', () => {
  const engine = new Engine();
  const random = randomFrom(7);
  const station = new Station(engine, 1);
  const exponential = (mean: number) => -mean * Math.log(1 - random());
  const arrive = () => {
    station.submit(exponential(0.7));
    engine.after(exponential(1), arrive);
  };
  arrive();
  engine.run(1_000);
  station.reset();
  engine.run(400_000);
  const { utilisation, meanJobs, perMs, meanStayMs, meanServiceMs } = station.figures();
  // The time spent in an M/M/1 queue: service time / (1 − utilisation).
  expect(meanStayMs).toBeCloseTo(0.7 / 0.3, 0);
  expect(utilisation / (perMs * meanServiceMs)).toBeCloseTo(1, 2);
  expect(meanJobs / (perMs * meanStayMs)).toBeCloseTo(1, 2);
});

test('each part of the simulated system obeys the laws of utilisation and Little', () => {
  const plan = { ...small, nodes: 3, hasRedis: true, redisServers: 1, postgresCores: 4, chats: 50, audience: 20 };
  const system = new System({ ...plan, messagesPerSecond: 300 }, costs);
  system.measure({ warmUpMs: 500, ms: 5_000 });
  for (const station of [system.postgres, ...system.redis, ...system.nodes.map(({ loop }) => loop)]) {
    const { utilisation, meanJobs, perMs, meanStayMs, meanServiceMs } = station.figures();
    expect(utilisation / ((perMs * meanServiceMs) / station.servers)).toBeCloseTo(1, 1);
    expect(meanJobs / (perMs * meanStayMs)).toBeCloseTo(1, 1);
  }
});

test('the simulation of what bench:delivery measured is within a factor of 2 of it', () => {
  const column = (name: string, row: string) =>
    findCell('delivery', 'From commit to frame, 100 subscribers', row, name);
  for (const [row, messagesPerSecond] of [
    ['100', 100],
    ['1,000', 1_000],
  ] as const) {
    const { node, frames } = simulate({ ...small, messagesPerSecond, isWrittenBySql: true }, costs, {
      warmUpMs: 1_000,
      ms: 5_000,
    });
    expectWithin(2, 100 * node.mean, column('CPU of the server', row));
    expectWithin(2, frames.p50, column('commit → frame p50, ms', row));
  }
});

test('the simulation of what bench:send measured is within a factor of 2 of it', () => {
  const title = 'Sending: 64 senders, 50 chats with a subscriber each';
  const plan = { ...small, streams: 50, audience: 1, chats: 50, senders: 64 };
  const system = new System(plan, costs);
  system.measure({ warmUpMs: 1_000, ms: 5_000 });
  const sent = system.latencies.sends.length / 5;
  expectWithin(2, sent, findCell('send', title, 'parley', 'messages/s'));
});

test('the same seed gives the same figures, and another seed others', () => {
  const frames = (seed: number) => simulate({ ...small, seed }, costs).frames.p99;
  expect(frames(1)).toBe(frames(1));
  expect(frames(1)).not.toBe(frames(2));
});

test('every stream of a node that stops comes back, spread over the time that clients wait', () => {
  const plan = { ...small, nodes: 4, postgresCores: 4, streams: 8_000, chats: 20, audience: 20, messagesPerSecond: 50 };
  const system = new System(plan, costs);
  system.measure({ warmUpMs: 100, ms: 100 });
  stopNode(system, 1, { downMs: 20_000, isKilled: false });
  system.engine.run(system.engine.now + 900);
  expect(system.latencies.connects).toEqual([]);
  system.engine.run(system.engine.now + 10_000);
  expect(system.latencies.connects).toHaveLength(2_000);
  expect(system.places.every(({ node }) => node !== -1 && node !== 1)).toBe(true);
  expect(rollingPeak(4)).toBeGreaterThan(1);
});
