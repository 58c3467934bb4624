import { expect, onTestFinished, test, vi } from 'vitest';
import { createGroup, insertMessage } from '../support/chat.ts';
import { signUp } from '../support/client.ts';
import { expectWhole, hearMore } from '../support/fault.ts';
import { Reader } from '../support/reader.ts';
import { startServer } from '../support/server.ts';
import { followEvents } from '../support/stream.ts';
import { writeWithMutation, writeWithSql } from '../support/writer.ts';

const minuteMs = 60_000;

const server = await startServer({
  overrides: { streamTimes: { sweep: 20, heartbeat: 60, cursorRefresh: 150, stall: 20_000 } },
});
const [ada, grace, linus] = [await signUp(server, 'ada'), await signUp(server, 'grace'), await signUp(server, 'linus')];

/** Sets the clock of this process, in which the server also runs, forward or back. Timers are unaffected. */
function setClock(byMs: number) {
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + byMs, shouldAdvanceTime: false });
  onTestFinished(() => void vi.useRealTimers());
}

test.each([
  ['an hour back', -60 * minuteMs],
  ['ten minutes ahead', 10 * minuteMs],
])('when the clock jumps %s, streams stay open, keep receiving positions, and miss nothing', async (_, byMs) => {
  const chatId = await createGroup(ada, [grace, linus]);
  await using quiet = await followEvents(server, ada, { path: '/graphql/stream' });
  const readers = await Promise.all([grace, linus].map((person) => new Reader(server, person).live()));
  const writers = [writeWithMutation(server, [chatId], ada), writeWithSql(server.database.url, [chatId], grace)];
  await hearMore(readers, 20);
  setClock(byMs);
  await hearMore(readers, 20);
  readers[1]?.cut();
  await expectWhole(server.sql, [chatId], { readers, writers });
  await quiet.comments(quiet.commentCount + 3);
  await quiet.next('CaughtUp');
  expect(quiet.end).toBeNull();
  expect(readers[0]?.streamCount).toBe(1);
});

test('a reader that stalls briefly is not cut off as stuck when only the clock has jumped', async () => {
  const chatId = await createGroup(ada, [grace]);
  const reader = await new Reader(server, grace).live();
  const eager = await new Reader(server, ada).live();
  reader.stall();
  for (let count = 1; count <= 2; count += 1) {
    await server.sql.query(
      `insert into messages (chat_id, seq, sender_id, content)
      select c.id, c.last_seq + n, m.user_id, repeat('words ', 1500)
      from chats c join members m on m.chat_id = c.id and m.role = 'OWNER', generate_series(1, 700) n
      where c.id = (select max(id) from chats)`,
    );
    await eager.until(() => eager.heardCount === 700 * count);
    setClock(5 * minuteMs);
  }
  reader.resume();
  await expectWhole(server.sql, [chatId], { readers: [reader, eager], writers: [] });
  expect(reader.streamCount).toBe(1);
});

test('when the clock jumps past a token’s expiry, its streams end so that clients reconnect, and nothing is missed', async () => {
  const chatId = await createGroup(ada, [grace]);
  const reader = await new Reader(server, grace).live();
  await insertMessage(server, chatId, ada, 'before');
  await reader.until(() => reader.heardCount === 1);
  setClock(20 * minuteMs);
  // The reader's token is invalid until the clock is corrected.
  await reader.until(() => reader.end === 'UNAUTHENTICATED');
  vi.useRealTimers();
  await insertMessage(server, chatId, ada, 'in the meantime');
  const again = await new Reader(server, grace, { cursor: reader.cursor }).live();
  expect(again.heardIn(chatId)).toEqual([{ seq: 2, content: 'in the meantime' }]);
  expect(reader.faults).toEqual([]);
});
