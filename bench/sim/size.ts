import { percentile } from '../statistic.ts';
import type { Costs } from './cost.ts';
import { System } from './system.ts';
import type { Plan } from './world.ts';

/** The results of a run for each part of the system. Utilisations range from 0 to 1; latencies are in ms. */
export type Figures = {
  plan: Plan;
  deliveriesPerSecond: number;
  node: { mean: number; highest: number };
  postgres: number;
  commits: number;
  redis: number;
  frames: { p50: number; p99: number };
  sends: { p50: number; p99: number };
  /** Whether some part of the system has more work than it can do, so that its queue grows. */
  isSaturated: boolean;
};

/** A plan must handle this many times its load, so that it can cope with peaks and with one or two failed nodes. */
export const reserve = 1.5;
/** The maximum delays under that load for 99 % of events and messages, in ms. */
export const limits = { frames: 100, sends: 250 };
/** The sizes of PostgreSQL servers that are available for rent, in cores. */
const coreSizes = [2, 4, 8, 16, 32, 64, 96, 128];
/** The number of streams for which a node is planned, so that its memory stays below 1 GB. */
export const streamsPerNode = 40_000;
const run = { warmUpMs: 300, ms: 1_000 };
const maxNodes = 400;

/** Runs a plan. */
export function simulate(plan: Plan, costs: Costs, times = run): Figures {
  const system = new System(plan, costs);
  system.measure(times);
  return toFigures(system, times.ms);
}

/** The figures of a measured system. */
export function toFigures(system: System, ms: number): Figures {
  const loops = system.nodes.map(({ loop }) => loop.figures());
  const [postgres, commits] = [system.postgres.figures(), system.commits.figures()];
  const redis = system.redis.map((server) => server.figures());
  const highest = Math.max(...loops.map(({ utilisation }) => utilisation));
  const of = (values: number[]) => ({ p50: percentile(values, 50), p99: percentile(values, 99) });
  const { frames, sends } = system.latencies;
  // The commit lock does not count. It may be busy all the time, because a commit that waits longer contains more
  // messages.
  const busiest = Math.max(highest, ...redis.map(({ utilisation }) => utilisation));
  // The part of a commit that runs under the lock needs a core, too.
  const postgresBusy = postgres.utilisation + commits.utilisation / system.plan.postgresCores;
  return {
    plan: system.plan,
    deliveriesPerSecond: (1_000 * system.deliveries) / ms,
    node: { mean: loops.reduce((sum, { utilisation }) => sum + utilisation, 0) / loops.length, highest },
    postgres: postgresBusy,
    commits: commits.utilisation,
    redis: Math.max(0, ...redis.map(({ utilisation }) => utilisation)),
    frames: of(frames),
    sends: of(sends),
    isSaturated: Math.max(busiest, postgresBusy) > 0.97,
  };
}

/**
 * Finds the smallest plan that handles `reserve` times its load within `limits`. Returns that plan's figures under the
 * load itself. If `maxNodes` nodes are not enough, returns the last plan's figures under `reserve` times its load,
 * marked as saturated.
 */
export function findPlan(wanted: Omit<Plan, 'nodes' | 'postgresCores' | 'redisServers'>, costs: Costs): Figures {
  let plan: Plan = {
    ...wanted,
    nodes: Math.max(wanted.hasRedis ? 2 : 1, Math.ceil(wanted.streams / streamsPerNode)),
    postgresCores: 2,
    redisServers: wanted.hasRedis ? 1 : 0,
  };
  for (;;) {
    const peak = simulate({ ...plan, messagesPerSecond: plan.messagesPerSecond * reserve }, costs);
    const next = enlarge(plan, peak);
    if (next === null) return simulate(plan, costs);
    if (next.nodes > maxNodes) return { ...peak, plan, isSaturated: true };
    plan = next;
  }
}

/** Returns the plan with more of the parts that it is short of, or null if it has enough of everything. */
function enlarge(plan: Plan, { node, postgres, redis, frames, sends }: Figures): Plan | null {
  if (redis > 0.8) return { ...plan, redisServers: plan.redisServers + 1 };
  const isSlow = !(frames.p99 <= limits.frames && sends.p99 <= limits.sends);
  const largerPostgres = coreSizes.find((cores) => cores > plan.postgresCores);
  const isPostgresShort = postgres > 0.9 || (isSlow && postgres > node.highest);
  if (isPostgresShort && largerPostgres !== undefined) return { ...plan, postgresCores: largerPostgres };
  if (node.highest > 0.9 || isSlow) return { ...plan, nodes: Math.ceil(plan.nodes * 1.25) };
  return null;
}
