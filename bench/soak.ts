import { randomInt } from 'node:crypto';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { addGroup, addPeople } from './database.ts';
import { randomFrom } from './random.ts';
import { signToken } from './server.ts';
import { soakClients } from './soak/clients.ts';
import { allFaults } from './soak/fault.ts';
import { Follower } from './soak/follower.ts';
import { startMachine, type Machine } from './soak/machine.ts';
import { Oracle } from './soak/oracle.ts';
import { slopeOf, takeSample, type Sample } from './soak/sample.ts';
import { Traffic, type Actor, type Chat } from './soak/traffic.ts';

/**
 * Runs two nodes with traffic of all kinds and a fault every minute. No event may be lost or arrive twice, out of order
 * or after its reader has lost access, and the use of memory and file descriptors must not grow. If any of this is
 * violated, exits with status 1.
 */
const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '60' },
    seed: { type: 'string' },
    redis: { type: 'boolean', default: true },
    /** The interval between faults, in seconds. */
    every: { type: 'string', default: '60' },
    /** The average pause of each of the twelve users between two actions, in ms. */
    pause: { type: 'string', default: '200' },
    /**
     * Whether to run the client package on several devices instead. At the end, their stores must be equal to fresh
     * queries.
     */
    clients: { type: 'boolean', default: false },
  },
  allowNegative: true,
});
const [minutes, every, pause] = [Number(values.minutes), Number(values.every), Number(values.pause)];
const seed = Number(values.seed ?? randomInt(1, 1_000_000));
const random = randomFrom(seed);
let startedAt = performance.now();
const minutesNow = () => (performance.now() - startedAt) / 60_000;
const say = (line: string) => void process.stdout.write(`${minutesNow().toFixed(1)} min  ${line}\n`);

if (values.clients) process.exit(await soakClients(minutes, seed));

const machine = await startMachine({ hasRedis: values.redis });
const problems: string[] = [];
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => void machine.stop().then(() => process.exit(1)));
try {
  await run(machine);
} catch (error) {
  problems.push(error instanceof Error ? (error.stack ?? error.message) : String(error));
} finally {
  await machine.stop();
}
for (const problem of problems) say(`WRONG: ${problem}`);
say(problems.length === 0 ? `all is well (seed ${seed})` : `${problems.length} problems (seed ${seed})`);
process.exit(problems.length === 0 ? 0 : 1);

async function run({ nodes, sql }: Machine): Promise<void> {
  const { actors, chats } = await fill(machine);
  const oracle = new Oracle(sql);
  await oracle.open();
  const pickUrl = () => {
    const up = nodes.flatMap(({ url }) => (url === null ? [] : [url]));
    return up[Math.floor(random() * up.length)] ?? null;
  };
  const followers = actors.map((actor) => oracle.watch((report) => new Follower(actor, pickUrl, report)));
  await until(() => followers.every(({ position, connections }) => connections > 0 && position >= oracle.position), 60);
  oracle.begin();
  startedAt = performance.now();
  const traffic = new Traffic(chats, pickUrl, random);
  traffic.start(12, pause);
  say(`${followers.length} streams are live, ${values.redis ? 'with' : 'without'} Redis, seed ${seed}`);
  const isOver = () => minutesNow() >= minutes;
  const samples: Sample[] = [];
  const watching = [
    repeat(isOver, 0.25, () => oracle.check().catch(() => undefined)),
    repeat(isOver, 5, async () => {
      const sample = nodes[0] === undefined ? null : await takeSample(nodes[0], minutesNow());
      if (sample !== null) samples.push(sample);
    }),
    repeat(isOver, 3, async () => followers[Math.floor(random() * followers.length)]?.cut()),
  ];
  await breakThings(isOver);
  await Promise.all(watching);
  await traffic.stop();
  await finish(oracle, { followers, traffic });
  reportSamples(samples);
}

async function fill({ sql }: Machine): Promise<{ actors: Actor[]; chats: Chat[] }> {
  const database = { url: '', sql };
  const people = await addPeople(database, 30);
  const actors = await Promise.all(people.map(async (person) => ({ ...person, token: await signToken(person) })));
  const chats: Chat[] = [];
  for (let index = 0; index < 15; index += 1) {
    const members = Array.from(
      { length: 8 },
      (_, at) => actors[(index * 2 + at) % actors.length] as Actor & { sessionId: string },
    );
    const id = await addGroup(database, members);
    const [owner] = members;
    if (owner === undefined) throw new Error('a chat needs members');
    await sql.query(`update members set role = 'OWNER' where chat_id = $1 and user_id = $2`, [id, owner.userId]);
    chats.push({ id, owner, members, movable: members.slice(6) });
  }
  return { actors, chats };
}

/** Causes one fault after another, each for a few seconds, in an order that the seed determines. */
async function breakThings(isOver: () => boolean): Promise<void> {
  const faults = values.redis ? allFaults : allFaults.filter(({ name }) => !name.includes('Redis'));
  let order: typeof faults = [];
  let next = performance.now() + Math.min(20_000, every * 500);
  for (;;) {
    while (performance.now() < next && !isOver()) await sleep(200);
    if (isOver()) return;
    next += every * 1_000;
    if (order.length === 0) order = faults.toSorted(() => random() - 0.5);
    const fault = order.pop();
    const ms = 2_000 + random() * Math.min(10_000, every * 300);
    say(`${fault?.name} for ${(ms / 1_000).toFixed(1)} s`);
    await fault?.happen(machine, ms);
  }
}

async function finish(
  oracle: Oracle,
  { followers, traffic }: { followers: readonly Follower[]; traffic: Traffic },
): Promise<void> {
  const { rows } = await machine.sql.query<{ head: string }>('select max(id)::text as head from events');
  const head = Number(rows[0]?.head ?? 0);
  // A stream that has caught up says so once a minute and when it connects.
  for (const follower of followers) follower.cut();
  await until(() => followers.every((follower) => follower.hasReached(head)), 90).catch((error: unknown) => {
    const late = followers.filter((follower) => !follower.hasReached(head)).length;
    problems.push(`${late} streams did not reach the end of the log: ${String(error)}`);
  });
  while (oracle.position < head) await oracle.check();
  await oracle.finish();
  problems.push(...oracle.faults);
  for (const follower of followers) follower.close();
  const received = followers.reduce((sum, follower) => sum + follower.received, 0);
  const connections = followers.reduce((sum, follower) => sum + follower.connections, 0);
  say(`${received} events arrived over ${connections} connections; the log ends at ${head}`);
  say(`actions: ${JSON.stringify(traffic.counts)}`);
  const found = await machine.sql.query<{ id: string; count: number }>(
    `select sent.id, count(m.id)::int as count from unnest($1::text[]) as sent (id)
    left join messages m on m.client_message_id = sent.id group by sent.id having count(m.id) <> 1`,
    [traffic.acknowledged],
  );
  for (const { id, count } of found.rows) problems.push(`the acknowledged message ${id} exists ${count} times`);
  say(`${traffic.acknowledged.length} messages were acknowledged`);
}

/** Only the second half of the run counts, because the caches fill during the first half. */
function reportSamples(samples: readonly Sample[]): void {
  const late = samples.filter(({ at }) => at > minutes / 2);
  const last = late.at(-1);
  if (last === undefined || late.length < 5) return void problems.push('too few samples of memory');
  const parts = [
    { what: 'heap after a collection', value: ({ heap }: Sample) => heap / 1e6, unit: 'MB', most: 10 },
    { what: 'RSS', value: ({ rss }: Sample) => rss / 1e6, unit: 'MB', most: 60 },
    { what: 'descriptors', value: ({ files }: Sample) => files, unit: '', most: 25 },
  ];
  for (const { what, value, unit, most } of parts) {
    const growth = slopeOf(late, value) * (minutes / 2);
    say(
      `node A, ${what}: ${value(last).toFixed(0)} ${unit} at the end, ${growth.toFixed(1)} ${unit} in the second half`,
    );
    if (growth > most) problems.push(`${what} grew by ${growth.toFixed(1)} ${unit}; at most ${most} are allowed`);
  }
}

async function repeat(isOver: () => boolean, seconds: number, work: () => Promise<unknown>): Promise<void> {
  while (!isOver()) {
    await work();
    await sleep(seconds * 1_000);
  }
}

async function until(holds: () => boolean, seconds: number): Promise<void> {
  const deadline = performance.now() + seconds * 1_000;
  while (!holds()) {
    if (performance.now() > deadline) throw new Error(`a condition did not hold within ${seconds} s`);
    await sleep(100);
  }
}
