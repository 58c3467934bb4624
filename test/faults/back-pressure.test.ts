import { expect, test, vi } from 'vitest';
import { generateKeySet } from '../../src/account/token-key.ts';
import { addMembers, createGroup, insertMessages, keyOf } from '../support/chat.ts';
import { signUp, type Person } from '../support/client.ts';
import { expectWhole } from '../support/fault.ts';
import { Reader } from '../support/reader.ts';
import { rounds } from '../support/rounds.ts';
import { startServer } from '../support/server.ts';

vi.setConfig({ testTimeout: 60_000 });

const jwtKeys = generateKeySet();
/** A node that makes a reader fall behind as early as possible. */
const server = await startServer({ env: { MAX_STREAM_BUFFER_BYTES: '16384', JWT_KEYS: jwtKeys } });
const ada = await signUp(server, 'ada');
const grace = await signUp(server, 'grace');
const linus = await signUp(server, 'linus');

const flood = (chatId: string, count: number, length: number) => insertMessages(server, chatId, ada, { count, length });

const ways: [string, (reader: Reader) => void][] = [
  ['stalls', (reader) => reader.stall()],
  ['reads one byte a second', (reader) => reader.crawl(0.001)],
];

test.each(rounds(ways.slice(0, 1), ways))(
  'a reader that %s, and resumes much later, gets everything that it missed exactly once on the same stream',
  async (_, slow) => {
    const chatId = await createGroup(ada, [grace]);
    const stalled = await new Reader(server, grace).live();
    const eager = await new Reader(server, ada).live();
    slow(stalled);
    // The messages are small and numerous, because less data than a socket's high-water mark is buffered before the
    // reader falls behind.
    for (let floods = 1; floods <= 4; floods += 1) {
      await flood(chatId, 5_000, 100);
      await eager.until(() => eager.heardCount === 5_000 * floods);
    }
    expect(stalled.heardCount).toBeLessThan(1_000);
    stalled.resume();
    await expectWhole(server.sql, [chatId], { readers: [stalled, eager], writers: [] });
    expect(stalled.streamCount).toBe(1);
  },
);

test('a reader that falls behind the log continues at its own pace, and gets everything exactly once', async () => {
  const chatId = await createGroup(ada, [grace]);
  const slow = await new Reader(server, grace).live();
  const eager = await new Reader(server, ada).live();
  slow.crawl(8_192);
  await flood(chatId, 1_500, 9_000);
  await eager.until(() => eager.heardCount === 1_500);
  expect(slow.heardCount).toBeLessThan(1_500);
  await expectWhole(server.sql, [chatId], { readers: [slow, eager], writers: [] });
  expect(slow.streamCount).toBe(1);
});

test('typing is the first thing to be dropped for a reader who lags behind', async () => {
  await using roomy = await startServer({
    database: server.database,
    env: { MAX_STREAM_BUFFER_BYTES: '100000000', JWT_KEYS: jwtKeys },
  });
  const chatId = await createGroup(ada, [grace, linus]);
  const stalled = await new Reader(roomy, grace).live();
  const eager = await new Reader(roomy, linus).live();
  stalled.stall();
  await flood(chatId, 1_500, 9_000);
  await eager.until(() => eager.heardCount === 1_500);
  await startTyping(ada, chatId);
  await eager.until(() => eager.typingCount === 1);
  stalled.resume();
  await expectWhole(server.sql, [chatId], { readers: [stalled, eager], writers: [] });
  expect(stalled.typingCount).toBe(0);
  // All events came over the same connection, because the reader never had to go back to the log.
  expect(stalled.caughtUpCount).toBe(1);
  await startTyping(linus, chatId);
  await stalled.until(() => stalled.typingCount === 1);
});

const startTyping = (person: Person, chatId: string) =>
  person.ask('mutation ($chatId: ID!) { startTyping(chatId: $chatId) }', { chatId });

test.each([
  ['that goes on', () => {}],
  ['that has ended', (person: Person) => endSessions(person)],
])('a socket that makes no progress is cut off, even when it has a stream %s', async (_, then) => {
  await using node = await startServer({
    database: server.database,
    env: { MAX_STREAM_BUFFER_BYTES: '16384', MAX_STREAMS_PER_ADDRESS: '2', JWT_KEYS: jwtKeys },
    overrides: { streamTimes: { stall: 500, sweep: 50 } },
  });
  const chatId = await createGroup(ada, [grace]);
  const alan = await signUp(server, `alan${keyOf(chatId)}`);
  await addMembers(server, chatId, [alan]);
  const stalled = await new Reader(node, alan).live();
  const eager = await new Reader(node, ada).live();
  const third = new Reader(node, grace);
  await third.until(() => third.refusedCount > 0);
  stalled.stall();
  await flood(chatId, 1_500, 9_000);
  await eager.until(() => eager.heardCount === 1_500);
  await then(alan);
  // The third stream had no slot until one of the other streams released its slot.
  await third.live();
  expect(eager.streamCount).toBe(1);
});

async function endSessions(person: Person) {
  await server.sql.query('delete from sessions where user_id = $1', [keyOf(person.userId)]);
}
