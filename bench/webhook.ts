import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Report } from './bench.ts';
import { addGroup, addPeople, post, startPostgres, type Person } from './database.ts';
import { cpuMs, familyCpuMs, startHelper } from './process.ts';
import type { Delays, ReceiverMethods } from './receiver.ts';
import { print, save } from './result.ts';
import { signToken, startParley } from './server.ts';
import { summarise } from './statistic.ts';

const isQuick = process.argv.includes('--quick');
/** 20 messages a second to 50 receivers make 1,000 deliveries a second. */
const receiverCount = 50;
const perSecond = 20;
const deadCount = 100;
const rounds = isQuick ? 1 : 3;
const seconds = isQuick ? 2 : 10;
/**
 * The number of messages that are sent to all receivers in one burst, which is more than they can receive in a second.
 */
const burst = isQuick ? 60 : 300;
/** The time that the server gets to start or stop retrying the dead receivers, in ms. */
const settleMs = 2_000;

const document = `subscription { events { cursor at event {
  __typename ... on NewMessage { message { id seq content sender { id username } chat { id } } }
} } }`;

/**
 * The states of the dead receivers, all of which are measured in every round. After several hours, attempts are up to
 * five minutes apart. In the first seconds, attempts are most frequent, and each attempt fails immediately.
 */
const states = {
  none: `status = 'PAUSED'`,
  'down for hours': `status = 'FAILING', failures = 20, next_attempt_at = now() + random() * interval '5 minutes'`,
  'just gone down': `status = 'ACTIVE', failures = 0, next_attempt_at = now()`,
};
type State = keyof typeof states;

type Figures = Delays & { perSecond: number; serverMs: number; databaseMs: number };

const postgres = await startPostgres();
const receivers = startHelper<ReceiverMethods>('bench/receiver.ts');
const parley = await startParley(postgres, { settings: { WEBHOOK_ALLOW_PRIVATE: 'true' } });
const { sql } = parley.database;
try {
  const place = await prepare();
  // Costs keep falling during the first half minute, while Node compiles the code.
  await measure(place, perSecond * (isQuick ? 1 : 40));
  const figures = new Map<State, Figures[]>();
  const names = Object.keys(states) as State[];
  for (let round = 0; round < rounds; round += 1) {
    // Each round begins with a different state, so that no state always comes directly after the same state.
    for (const name of names.map((_, index) => names[(index + round) % names.length] ?? 'none')) {
      await sql.query(`update webhooks set ${states[name]} where url like 'http://127.0.0.1:1/%'`);
      await sleep(name === 'just gone down' ? 100 : settleMs);
      figures.set(name, [...(figures.get(name) ?? []), await measure(place, perSecond * seconds)]);
    }
  }
  await sql.query(`update webhooks set ${states.none} where url like 'http://127.0.0.1:1/%'`);
  const reports = [toReport(figures, await measure(place, burst, { isBurst: true }))];
  process.stdout.write(`${print(reports)}\n`);
  if (!isQuick) await save(reports, postgres.version, 'webhook');
} finally {
  await parley.stop();
  await receivers.stop();
  await postgres.stop();
}

/** A chat whose messages are delivered to all receivers, including the webhooks for the dead ones. */
async function prepare(): Promise<{ chatId: string; senderId: string }> {
  const [admin, sender] = await addPeople(parley.database, 2);
  if (admin === undefined || sender === undefined) throw new Error('there are no users');
  await sql.query(`update users set server_role = 'ADMIN' where id = $1`, [admin.userId]);
  const chatId = await addGroup(parley.database, [admin, sender]);
  const ports = await receivers.remote.call('listen', { receivers: receiverCount });
  const dead = Array.from({ length: deadCount }, (_, index) => `http://127.0.0.1:1/${index}`);
  await createWebhooks(admin, [...ports.map((port) => `http://127.0.0.1:${port}/`), ...dead]);
  await sql.query(`update webhooks set ${states.none} where url like 'http://127.0.0.1:1/%'`);
  await sleep(settleMs);
  return { chatId, senderId: sender.userId };
}

async function createWebhooks(admin: Person, urls: readonly string[]): Promise<void> {
  const query = `mutation ($input: CreateWebhookInput!) { createWebhook(input: $input) { __typename ... on Error { message } } }`;
  const authorization = `Bearer ${await signToken(admin)}`;
  for (const url of urls) {
    const response = await fetch(`http://localhost:${parley.port}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization },
      body: JSON.stringify({ query, variables: { input: { url, document } } }),
    });
    const text = await response.text();
    if (!text.includes('CreatedWebhook')) throw new Error(text);
  }
}

/**
 * Sends messages, either steadily or in a burst, and waits until each receiver has received all of them. CPU times are
 * per delivery.
 */
async function measure(
  place: { chatId: string; senderId: string },
  messages: number,
  { isBurst = false } = {},
): Promise<Figures> {
  const deliveries = messages * receiverCount;
  const before = { at: performance.now(), server: cpuMs(parley.pid), database: familyCpuMs(postgres.pid) };
  const reached = receivers.remote.call('reached', { messages: deliveries });
  // The promise is awaited below. Until then, a failure must not count as an unhandled rejection.
  reached.catch(() => undefined);
  for (let sent = 1; sent <= messages; sent += 1) {
    await post(parley.database, place, 1);
    if (!isBurst) await sleep(Math.max(0, before.at + (sent * 1_000) / perSecond - performance.now()));
  }
  const delays = await reached;
  return {
    ...delays,
    perSecond: (1_000 * deliveries) / (performance.now() - before.at),
    serverMs: (cpuMs(parley.pid) - before.server) / deliveries,
    databaseMs: (familyCpuMs(postgres.pid) - before.database) / deliveries,
  };
}

function toReport(figures: ReadonlyMap<State, readonly Figures[]>, most: Figures): Report {
  const median = (name: State, what: keyof Figures) =>
    summarise((figures.get(name) ?? []).map((each) => each[what])).median;
  const cells = (each: Figures) => [
    each.perSecond.toFixed(0),
    each.p50.toFixed(1),
    each.p99.toFixed(1),
    each.serverMs.toFixed(3),
    each.databaseMs.toFixed(3),
  ];
  const added = (what: keyof Figures) => median('down for hours', what) - median('none', what);
  return {
    title: `Webhooks: ${receiverCount} receivers, ${perSecond} messages a second`,
    columns: ['dead receivers', 'deliveries/s', 'p50 ms', 'p99 ms', 'server CPU ms each', 'database CPU ms each'],
    rows: [
      ...[...figures.keys()].map((name) => [
        name === 'none' ? name : `${deadCount}, ${name}`,
        ...cells({
          ...{ perSecond: median(name, 'perSecond'), p50: median(name, 'p50'), p99: median(name, 'p99') },
          ...{ serverMs: median(name, 'serverMs'), databaseMs: median(name, 'databaseMs') },
        }),
      ]),
      [`none; ${burst} messages at once`, ...cells(most)],
    ],
    notes: [
      `Medians of ${rounds} turns of ${seconds} s each. Times are from the event to its arrival; CPU is per delivery.`,
      'Each receiver has its own port on this machine and is sent one event at a time; each must arrive once, in order.',
    ],
    goals: [
      { name: 'deliveries per second', value: most.perSecond, atLeast: 1_000, unit: '/s' },
      {
        name: `server CPU that ${deadCount} receivers add that have been down for hours`,
        value: (100 * added('serverMs')) / median('none', 'serverMs'),
        atMost: 5,
        unit: '%',
      },
      { name: 'what they add to the p50', value: added('p50'), atMost: 1, unit: 'ms' },
    ],
  };
}
