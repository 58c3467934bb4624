import { expect, test, vi } from 'vitest';
import { generateKeySet } from '../../src/account/token-key.ts';
import { createGroup, insertMessages } from '../support/chat.ts';
import { signUp } from '../support/client.ts';
import { expectWhole } from '../support/fault.ts';
import { Reader } from '../support/reader.ts';
import { startServer } from '../support/server.ts';

vi.setConfig({ testTimeout: 60_000 });

const jwtKeys = generateKeySet();
/** Settings that make a reader fall behind as early as possible. */
const server = await startServer({ env: { MAX_STREAM_BUFFER_BYTES: '16384', JWT_KEYS: jwtKeys } });
const ada = await signUp(server, 'ada');
const grace = await signUp(server, 'grace');
const linus = await signUp(server, 'linus');

const flood = (chatId: string, count: number, length: number) => insertMessages(server, chatId, ada, { count, length });

test('readers that stall and crawl at random, with next to no buffer, get everything exactly once', async () => {
  const chatIds = [await createGroup(ada, [grace, linus]), await createGroup(ada, [grace, linus])];
  const people = [ada, grace, linus, grace, linus, ada];
  const readers = await Promise.all(people.map((person) => new Reader(server, person).live()));
  const eager = await new Reader(server, ada).live();
  let count = 0;
  for (let rounds = 0; rounds < 40; rounds += 1) {
    for (const reader of readers) if (rounds === 0 || Math.random() < 0.15) changePace(reader);
    const size = 1 + Math.floor(Math.random() * 250);
    await flood(chatIds[rounds % 2] ?? '', size, 1 + Math.floor(Math.random() ** 2 * 9_900));
    count += size;
    const target = count;
    await eager.until(() => eager.heardCount === target);
  }
  for (const reader of readers) reader.resume();
  await expectWhole(server.sql, chatIds, { readers: [...readers, eager], writers: [] });
  // A user who fell behind receives a CaughtUp each time they become live again.
  const caughtUpCount = readers.reduce((sum, reader) => sum + reader.caughtUpCount, 0);
  expect(caughtUpCount).toBeGreaterThan(readers.length);
});

function changePace(reader: Reader) {
  const dice = Math.random();
  if (dice < 0.5) reader.stall();
  else if (dice < 0.8) reader.crawl(2 ** Math.floor(4 + Math.random() * 8));
  else reader.resume();
}
