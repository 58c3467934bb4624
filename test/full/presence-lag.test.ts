import { expect, test } from 'vitest';
import { createGroup, keyOf } from '../support/chat.ts';
import { signUpAll } from '../support/client.ts';
import { attend, attendanceTimes, setPresence } from '../support/presence.ts';
import { Reader } from '../support/reader.ts';
import { startServer } from '../support/server.ts';

test('a reader that lags behind receives no presence changes, and is notified when to fetch presence again', async () => {
  const node = await startServer({ env: { MAX_STREAM_BUFFER_BYTES: '100000000' }, overrides: { attendanceTimes } });
  const [ada, grace, linus] = await signUpAll(node, 'ada', 'grace', 'linus');
  const chatId = await createGroup(ada, [grace, linus]);
  const stalled = await new Reader(node, ada, { wantsPresence: true }).live();
  const eager = await new Reader(node, linus, { wantsPresence: true }).live();
  await using _ = await attend(node, grace);
  const hears = (reader: Reader, status: string) =>
    reader.until(() => reader.presences.includes(`${grace.userId} ${status}`));
  for (const reader of [stalled, eager]) await hears(reader, 'ONLINE');
  stalled.stall();
  await node.sql.query(
    `insert into messages (chat_id, seq, sender_id, content)
    select c.id, c.last_seq + n, $2, rpad(n::text, 9000, ' words') from chats c, generate_series(1, 1500) n where c.id = $1`,
    [keyOf(chatId), keyOf(linus.userId)],
  );
  await eager.until(() => eager.heardCount === 1_500);
  await setPresence(grace, 'AWAY');
  await hears(eager, 'AWAY');
  stalled.resume();
  await stalled.live(2);
  expect(stalled.heardCount).toBe(1_500);
  expect(stalled.presences).not.toContain(`${grace.userId} AWAY`);
  await grace.ask('mutation { signOut }');
  await hears(stalled, 'OFFLINE');
  expect([stalled.faults, eager.caughtUpCount]).toEqual([[], 1]);
});
