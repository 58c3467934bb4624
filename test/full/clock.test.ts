import { expect, onTestFinished, test, vi } from 'vitest';
import { createGroup } from '../support/chat.ts';
import { signUp } from '../support/client.ts';
import { expectWhole } from '../support/fault.ts';
import { Reader } from '../support/reader.ts';
import { startServer } from '../support/server.ts';

const minuteMs = 60_000;

const server = await startServer({
  overrides: { streamTimes: { sweep: 20, heartbeat: 60, cursorRefresh: 150, stall: 20_000 } },
});
const [ada, grace] = [await signUp(server, 'ada'), await signUp(server, 'grace')];

/** Sets the clock of this process, with the server in it, forward or back. Its timers are unaffected. */
function setClock(byMs: number) {
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + byMs, shouldAdvanceTime: false });
  onTestFinished(() => void vi.useRealTimers());
}

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
