import process from 'node:process';
import { parseArgs } from 'node:util';
import type { Report } from '../bench.ts';
import { print, save } from '../result.ts';
import { percentile } from '../statistic.ts';
import { readCosts, type Costs, type Source } from './cost.ts';
import { cutAll, rollingPeak, stopNode } from './deploy.ts';
import { findPlan, limits, reserve, simulate, streamsPerNode, toFigures, type Figures } from './size.ts';
import { System } from './system.ts';
import type { Plan } from './world.ts';

const { values } = parseArgs({
  options: {
    streams: { type: 'string', default: '1000000' },
    deliveries: { type: 'string', default: '100000' },
    audience: { type: 'string', default: '20' },
    seed: { type: 'string', default: '1' },
    quick: { type: 'boolean', default: false },
  },
});
const [streams, deliveries, audience] = [Number(values.streams), Number(values.deliveries), Number(values.audience)];
const seed = Number(values.seed);

/** The columns that describe a plan and its figures; `toRow` fills them. */
const columns = [
  'Redis',
  'messages/s',
  'streams each',
  'nodes',
  'cores of PostgreSQL',
  'Redis servers',
  'node',
  'PostgreSQL',
  'commits',
  'Redis, busy',
  'commit → frame p50, ms',
  'p99',
  'send p50, ms',
  'p99',
];

function wanted(
  share: number,
  hasRedis: boolean,
  each = audience,
): Omit<Plan, 'nodes' | 'postgresCores' | 'redisServers'> {
  const messagesPerSecond = (deliveries * share) / each;
  return {
    seed,
    hasRedis,
    streams: Math.round(streams * share),
    audience: each,
    messagesPerSecond,
    chats: Math.max(20, Math.min(4_000, Math.round((80_000 * share) / each))),
  };
}

function toRow({ plan, node, postgres, commits, redis, frames, sends, isSaturated }: Figures): (string | number)[] {
  const percent = (value: number) => `${(100 * value).toFixed(0)} %`;
  return [
    plan.hasRedis ? 'yes' : 'no',
    plan.messagesPerSecond.toLocaleString('en'),
    Math.round(plan.streams / plan.nodes).toLocaleString('en'),
    plan.nodes,
    plan.postgresCores,
    plan.hasRedis ? plan.redisServers : '–',
    percent(node.highest),
    percent(postgres),
    percent(commits),
    plan.hasRedis ? percent(redis) : '–',
    isSaturated ? 'grows' : frames.p50.toFixed(1),
    isSaturated ? 'grows' : frames.p99.toFixed(1),
    isSaturated ? 'grows' : sends.p50.toFixed(1),
    isSaturated ? 'grows' : sends.p99.toFixed(1),
  ];
}

/** Reports how many of each part are needed, for loads from a small share up to the full load. */
function reportSizes(costs: Costs): Report {
  const shares = values.quick ? [0.01, 0.1] : [0.01, 0.05, 0.1, 0.25, 0.5, 1];
  const rows = shares.flatMap((share) =>
    [false, true].map((hasRedis) => {
      const row = toRow(findPlan(wanted(share, hasRedis), costs));
      return [(streams * share).toLocaleString('en'), (deliveries * share).toLocaleString('en'), ...row];
    }),
  );
  return {
    title: 'How many of each part',
    columns: ['streams', 'deliveries/s', ...columns],
    rows,
    notes: [
      `Each message reaches ${audience} streams. The smallest number of machines that handles ${reserve} times this load with p99 ≤ ${limits.frames} ms from commit to frame and ≤ ${limits.sends} ms for a send, with at most ${streamsPerNode.toLocaleString('en')} streams on a node. The figures are those under the load itself. "node" is the busiest node. "commits" is the lock that PostgreSQL takes for each commit, which cannot be multiplied: when it is busy all the time, commits become larger. A part that works in batches looks busy long before it has too much to do, because it takes small batches while it can.`,
    ],
    goals: [],
  };
}

/** Reports the plan for the full load, with chats of other sizes. */
function reportAudiences(costs: Costs): Report {
  const audiences = values.quick ? [100] : [5, 10, 50, 200];
  return {
    title: `${deliveries.toLocaleString('en')} deliveries/s in chats of other sizes, with Redis`,
    columns: ['streams per message', ...columns],
    rows: audiences.map((each) => [each, ...toRow(findPlan(wanted(values.quick ? 0.1 : 1, true, each), costs))]),
    notes: [
      'The number of messages decides how much PostgreSQL has to do, and the number of deliveries how much the nodes have to do.',
    ],
    goals: [],
  };
}

/** Reports how the same machines perform with less load and with more load. */
function reportSaturation(costs: Costs, plan: Plan): Report {
  const loads = values.quick ? [1, 2] : [0.5, 1, 1.25, 1.5, 1.75, 2, 3];
  return {
    title: 'The same machines under other loads',
    columns: ['load', ...columns],
    rows: loads.map((load) => [
      `× ${load}`,
      ...toRow(simulate({ ...plan, messagesPerSecond: plan.messagesPerSecond * load }, costs)),
    ]),
    notes: [
      '"grows": a part has more work than it can do, so that its queue and all latencies grow for as long as the load lasts.',
    ],
    goals: [],
  };
}

/** Reports what clients see while nodes stop and start, and after all connections break. */
function reportDeploy(costs: Costs, plan: Plan): Report {
  const cases: [string, number, (system: System) => void][] = [
    ['nothing happens', 10_000, () => undefined],
    ['one node is stopped for 10 s', 10_000, (system) => stopNode(system, 1, { downMs: 10_000, isKilled: false })],
    ['one node is killed for 10 s', 10_000, (system) => stopNode(system, 1, { downMs: 10_000, isKilled: true })],
    [
      'three nodes, one every 15 s',
      45_000,
      (system) => {
        for (const index of [1, 2, 3]) {
          const stop = () => stopNode(system, index % plan.nodes, { downMs: 10_000, isKilled: false });
          system.engine.after((index - 1) * 15_000, stop);
        }
      },
    ],
    ['all connections break at once', 30_000, cutAll],
  ];
  const rows = cases.map(([what, ms, happen]) => {
    const system = new System(plan, costs);
    system.measure({ warmUpMs: 500, ms: 0.001 });
    happen(system);
    system.engine.run(system.engine.now + (values.quick ? ms / 3 : ms));
    const { frames, node, postgres } = toFigures(system, ms);
    const { connects } = system.latencies;
    return [
      what,
      connects.length.toLocaleString('en'),
      ...(connects.length === 0 ? ['–', '–'] : [50, 99].map((share) => percentile(connects, share).toFixed(1))),
      ...[frames.p50, frames.p99].map((value) => (Number.isNaN(value) ? '–' : value.toFixed(1))),
      `${(100 * node.highest).toFixed(0)} %`,
      `${(100 * postgres).toFixed(0)} %`,
    ];
  });
  return {
    title: 'Deploys',
    columns: [
      'what happens',
      'streams that reconnect',
      'request → CaughtUp p50, ms',
      'p99',
      'commit → frame p50, ms',
      'p99',
      'busiest node',
      'PostgreSQL',
    ],
    rows,
    notes: [
      `A node that stops closes its streams within 2 s, and each client waits 1 to 5 s (the stream's \`retry\`) before it connects to another node. While all ${plan.nodes} nodes are restarted one after the other, the fullest has ${rollingPeak(plan.nodes).toFixed(2)} times the average number of streams, if each new stream goes to a random node.`,
    ],
    goals: [],
  };
}

function reportSources(sources: readonly Source[]): Report {
  return {
    title: 'Costs',
    columns: ['what', 'value', 'from'],
    rows: sources.map(({ what, value, from }) => [what, value, from]),
    notes: [],
    goals: [],
  };
}

const { costs, sources } = readCosts();
const startedAt = performance.now();
const say = (line: string) =>
  void process.stderr.write(`${((performance.now() - startedAt) / 1_000).toFixed(0)} s  ${line}\n`);
say('sizes');
const reports = [reportSizes(costs)];
say('audiences');
reports.push(reportAudiences(costs));
const { plan } = findPlan(wanted(values.quick ? 0.1 : 1, true), costs);
say('saturation');
reports.push(reportSaturation(costs, plan));
say('deploys');
reports.push(reportDeploy(costs, plan), reportSources(sources));
process.stdout.write(print(reports));
if (!values.quick) await save(reports, 'of the measured costs: see the tables', 'scale');
