import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type pg from 'pg';
import { expect, onTestFinished, test } from 'vitest';
import { Follower, type Received } from '../../bench/soak/follower.ts';
import { Oracle } from '../../bench/soak/oracle.ts';

// `npm run soak` is only as good as the oracle is at detecting faults.

type Row = { id: string; kind: string; audience: string; chatId: string | null; userId: string | null };
const inChat = (id: number, kind: string, userId: string | null = null): Row => ({
  id: String(id),
  kind,
  audience: userId === null ? 'CHAT' : 'CHAT_AND_PERSON',
  chatId: '7',
  userId,
});

/** The events of a chat with two members. Event 12 removes the second member. */
const log = [
  inChat(9, 'NewMessage'),
  inChat(10, 'NewMessage'),
  inChat(11, 'MessageEdited'),
  inChat(12, 'RemoveFromChat', '2'),
  inChat(13, 'NewMessage'),
];
const due = { '1': [9, 10, 11, 12, 13], '2': [9, 10, 11, 12] };

/** Creates a fake of the part of the database that the oracle queries. It returns at most three events at a time. */
function fakeDatabase(): pg.Pool {
  const answer = (text: string, values: unknown[] = []) => {
    if (text.includes('group by chat_id')) return [{ chatId: '7', userIds: ['1', '2'], head: '8' }];
    if (!text.includes('from events')) return [];
    const rest = log.filter(({ id }) => Number(id) > Number(values[0]));
    return rest.slice(0, 3).map((row) => ({ ...row, messageId: null, userIds: [] }));
  };
  const query = (text: string, values?: unknown[]) => Promise.resolve({ rows: answer(text, values) });
  return { query } as unknown as pg.Pool;
}

/** Returns what the oracle reports if these events reach these users. */
async function judge(arrivals: Record<string, Received[]>): Promise<string[]> {
  const oracle = new Oracle(fakeDatabase());
  await oracle.open();
  for (const [userId, received] of Object.entries(arrivals)) {
    oracle.watch(({ event }) => {
      for (const each of received) event(each);
      return { userId, position: 13 } as Follower;
    });
  }
  oracle.begin();
  for (let round = 0; round < 3; round += 1) await oracle.check();
  await oracle.finish();
  return oracle.faults;
}

const kindOf = (id: number) => log.find((row) => row.id === String(id))?.kind ?? 'NewMessage';
const asDue = (userId: '1' | '2', change: (ids: number[]) => number[] = (ids) => ids): Received[] =>
  change(due[userId]).map((id) => ({ id, kind: kindOf(id) }));

test('nothing is wrong with streams that receive exactly what the log says', async () => {
  expect(await judge({ 1: asDue('1'), 2: asDue('2') })).toEqual([]);
});

test.each([
  ['an event is missing', { 1: asDue('1', (ids) => ids.filter((id) => id !== 10)) }, 'user 1 did not receive'],
  ['the last event is missing', { 1: asDue('1', (ids) => ids.slice(0, -1)) }, 'user 1 did not receive'],
  ['the removal is missing', { 2: asDue('2', (ids) => ids.slice(0, -1)) }, 'user 2 did not receive RemoveFromChat'],
  ['a removed member receives more', { 2: asDue('2', (ids) => [...ids, 13]) }, 'user 2 received NewMessage at 13'],
  ['a stranger receives an event', { 3: [{ id: 9, kind: 'NewMessage' }] }, 'user 3 received NewMessage at 9'],
  [
    'an event has the wrong kind',
    { 1: asDue('1').map(({ id, kind }) => ({ id, kind: id === 11 ? 'NewMessage' : kind })) },
    'MessageEdited at 11 arrived as NewMessage',
  ],
])('the oracle notices when %s', async (_, arrivals, complaint) => {
  const faults = await judge({ 1: asDue('1'), 2: asDue('2'), ...arrivals });
  expect(faults).toHaveLength(1);
  expect(faults[0]).toContain(complaint);
});

const frame = (id: number, kind: string) =>
  `event: next\ndata: ${JSON.stringify({ data: { events: { cursor: `epoch.${id}`, event: { __typename: kind } } } })}\n\n`;

test.each([
  ['an event comes twice', [frame(1, 'NewMessage'), frame(1, 'NewMessage')], 'NewMessage at 1 came after 1'],
  ['events are out of order', [frame(2, 'NewMessage'), frame(1, 'NewMessage')], 'NewMessage at 1 came after 2'],
  ['a notice goes back', [frame(2, 'NewMessage'), frame(1, 'CaughtUp')], 'CaughtUp at 1 came after 2'],
  ['a stream is reset', [frame(1, 'Reset')], 'the stream was reset'],
  ['a stream ends for good', ['event: complete\ndata:\n\n'], 'the stream ended for good'],
  ['an event has errors', ['event: next\ndata: {"data":null,"errors":[{}]}\n\n'], 'an event with errors'],
])('a follower notices when %s', async (_, frames, complaint) => {
  const server = createServer((_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    for (const text of [frame(0, 'CaughtUp'), ...frames]) response.write(text);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const faults: string[] = [];
  const report = { event: () => undefined, fault: (text: string) => void faults.push(text) };
  const follower = new Follower({ userId: '1', token: 'a token' }, () => url, report);
  onTestFinished(() => {
    follower.close();
    server.close();
  });
  await expect.poll(() => faults).not.toEqual([]);
  expect(faults.join(' ')).toContain(complaint);
});
