import { expect, test, vi } from 'vitest';
import { decodeNotice } from '../../src/live/broadcast/wire.ts';
import { countDeaf, publishes, startBroadcastPair } from '../support/broadcast.ts';
import { keyOf } from '../support/chat.ts';
import { expectWhole, hearMore } from '../support/fault.ts';
import { Reader } from '../support/reader.ts';
import { attend, changed, follow } from '../support/presence.ts';
import { eventOf, followEvents } from '../support/stream.ts';
import { writeWithMutation, writeWithSql } from '../support/writer.ts';

// A change of publisher takes a few seconds, and longer on a busy machine.
vi.setConfig({ testTimeout: 60_000 });

test('whichever node is cut off, and whether or not it notices, all streams go on without loss', async () => {
  const { ends, first, second, ada, grace, chatId, close } = await startBroadcastPair();
  const readers = await Promise.all([first, second].map((node) => new Reader(node, grace).live()));
  const writers = [writeWithMutation(second, [chatId], ada), writeWithSql(first.database.url, [chatId], grace)];
  await hearMore(readers, 50);
  ends[1].silence();
  await hearMore(readers, 100);
  ends[1].mend();
  await hearMore(readers, 50);
  ends[0].cut();
  await expect.poll(() => publishes(second), { timeout: 15_000 }).toBe(true);
  await hearMore(readers, 50);
  ends[0].mend();
  ends[1].silence();
  await hearMore(readers, 100);
  await expectWhole(first.sql, [chatId], { readers, writers });
  await close();
});

test('presence and typing reach a node that does not listen to PostgreSQL, and lost changes make its clients query again', async () => {
  const { network, ends, first, second, ada, grace, chatId, close } = await startBroadcastPair();
  const stream = await follow(second, ada);
  const document = 'subscription { events { event { __typename ... on Typing { userId } } } }';
  const typing = await followEvents(second, ada, { document });
  await expect.poll(() => countDeaf(first), { timeout: 15_000 }).toBe(1);
  const device = await attend(first, grace);
  await stream.next(changed(grace, 'ONLINE'));
  await first.sql.query(`select ring_bell('parley_typing', $1)`, [`${keyOf(chatId)}.${keyOf(grace.userId)}`]);
  expect(eventOf(await typing.next('Typing'))).toMatchObject({ userId: grace.userId });
  const countNotices = () => network.published.filter(({ message }) => decodeNotice(message) !== null).length;
  const before = countNotices();
  ends[1].trouble = { loss: 1 };
  await device.close();
  await expect.poll(countNotices).toBeGreaterThan(before);
  ends[1].trouble = {};
  await stream.next('CaughtUp');
  for (const each of [stream, typing]) await each.close();
  await close();
});
