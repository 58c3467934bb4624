import { setTimeout as sleep } from 'node:timers/promises';
import { Audience, type Bench, type Report } from './bench.ts';
import { addGroup, addPeople, post, type Person } from './database.ts';
import { cpuMs } from './process.ts';
import { startParley, type Parley } from './server.ts';
import { percentile, ratios, summarise } from './statistic.ts';

/** The measured values, one for each round. */
type Figures = { message: number[]; idle: number[] };

type Place = { chatId: string; members: Person[] };

const perChat = 4;

/**
 * Sends messages to a few chats. The number of subscribers of other chats must not affect the cost of these messages.
 */
export async function measureSelective(bench: Bench): Promise<Report[]> {
  const [chats, busyChats] = bench.isQuick ? [50, 10] : [500, 50];
  const messages = bench.isQuick ? 200 : 2_000;
  const server = await startParley(bench.postgres, bench);
  const places = await addPlaces(server, chats);
  const busy = places.slice(0, busyChats);
  const peopleOf = (some: Place[]) => some.flatMap(({ members }) => members);
  const audience = await Audience.open(bench, 'busy', await server.admit(peopleOf(busy)));
  const elsewhere = await server.admit(peopleOf(places.slice(busyChats)));

  const few: Figures = { message: [], idle: [] };
  const many: Figures = { message: [], idle: [] };
  const measure = async (figures: Figures, isWarmUp: boolean) => {
    // The garbage that results from opening or closing the other streams must not affect the measurement.
    await sleep(bench.isQuick ? 500 : 3_000);
    const idle = await measureIdle(server, bench.isQuick ? 1_000 : 5_000);
    const message = await measureRound({ server, busy, audience }, messages);
    if (isWarmUp) return;
    bench.say(`selective: ${message.toFixed(0)} µs per message, ${idle.toFixed(1)} ms/s when idle`);
    figures.message.push(message);
    figures.idle.push(idle);
  };
  for (let round = 0; round <= bench.rounds; round += 1) {
    await measure(few, round === 0);
    const others = await Audience.open(bench, 'elsewhere', elsewhere);
    await measure(many, round === 0);
    await others.close();
  }
  await audience.close();
  await server.stop();

  const ratio = summarise(ratios(many.message, few.message));
  const describe = ({ message, idle }: Figures) => {
    const { median, spreadPercent } = summarise(message);
    return [`${median.toFixed(0)} ±${spreadPercent.toFixed(0)} %`, percentile(idle, 50).toFixed(1)];
  };
  return [
    {
      title: `Selective: messages to ${busyChats} chats of ${perChat}`,
      columns: [
        'people connected',
        'CPU of the server, µs per message',
        'while no one writes, ms per second',
        'per message, against the first',
      ],
      rows: [
        [perChat * busyChats, ...describe(few), '1'],
        [perChat * chats, ...describe(many), `${ratio.median.toFixed(2)} ±${ratio.spreadPercent.toFixed(0)} %`],
      ],
      notes: [
        `${messages.toLocaleString('en')} messages per round, one at a time, each to the ${perChat} people of its chat. The figure per message includes what the server spends on its idle streams.`,
      ],
      goals: [
        {
          name: 'CPU per message, with ten times as many people connected for other chats',
          value: ratio.median,
          atMost: 1.1,
          unit: '×',
        },
      ],
    },
  ];
}

/** The CPU time, in ms per second, that the open streams take for heartbeats and periodic checks. */
async function measureIdle({ pid }: Parley, ms: number): Promise<number> {
  const before = cpuMs(pid);
  await sleep(ms);
  return (1_000 * (cpuMs(pid) - before)) / ms;
}

async function addPlaces({ database }: Parley, count: number): Promise<Place[]> {
  const people = await addPeople(database, count * perChat);
  const places: Place[] = [];
  for (let index = 0; index < count; index += 1) {
    const members = people.slice(index * perChat, (index + 1) * perChat);
    places.push({ chatId: await addGroup(database, members), members });
  }
  return places;
}

async function measureRound(
  { server, busy, audience }: { server: Parley; busy: Place[]; audience: Audience },
  messages: number,
): Promise<number> {
  const before = cpuMs(server.pid);
  for (let message = 0; message < messages; message += 1) {
    const place = busy[message % busy.length];
    if (place === undefined) throw new Error('there is no busy chat');
    await post(server.database, { chatId: place.chatId, senderId: place.members[0]?.userId ?? '' }, 1);
    await audience.receive(perChat);
  }
  return (1_000 * (cpuMs(server.pid) - before)) / messages;
}
