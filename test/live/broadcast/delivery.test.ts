import { expect, test, vi } from 'vitest';
import { headerChannel } from '../../../src/live/broadcast/channel-name.ts';
import { decodeHeader, decodePiece, encodeHeader } from '../../../src/live/broadcast/wire.ts';
import { countDeaf, publishes, startBroadcastPair } from '../../support/broadcast.ts';
import { createGroup, insertMessage, keyOf } from '../../support/chat.ts';
import { TestNetwork } from '../../support/channels.ts';
import { signUp } from '../../support/client.ts';
import { expectWhole } from '../../support/fault.ts';
import { openProxy } from '../../support/proxy.ts';
import { Reader } from '../../support/reader.ts';
import { startServer } from '../../support/server.ts';
import { eventOf, followEvents } from '../../support/stream.ts';

// A change of publisher takes seconds, and longer on a busy machine.
vi.setConfig({ testTimeout: 60_000 });

test('one node reads the log, the messages in it and the notifications, and the other receives all of them from it', async () => {
  const network = new TestNetwork();
  const first = await startServer({ overrides: { channels: network.join() } });
  await expect.poll(() => publishes(first), { timeout: 10_000 }).toBe(true);
  const proxy = await openProxy(first.database.url);
  const env = { DATABASE_URL: proxy.through(first.database.url), DATABASE_DIRECT_URL: first.database.url };
  const second = await startServer({ database: first.database, env, overrides: { channels: network.join() } });
  const [ada, grace] = [await signUp(first, 'ada'), await signUp(first, 'grace')];
  const chatId = await createGroup(ada, [grace]);
  const readers = await Promise.all([first, second].map((node) => new Reader(node, grace).live()));
  const otherId = await createGroup(ada, [grace]);
  await Promise.all(readers.map((reader) => reader.until(() => reader.kinds.includes('NewChat'))));
  await expect.poll(() => countDeaf(first), { timeout: 15_000 }).toBe(1);
  const countReads = ['events_next', 'messages_by_id'].map((name) => proxy.count(name));
  for (let count = 0; count < 20; count += 1) await insertMessage(first, count % 2 ? chatId : otherId, ada, `${count}`);
  await expectWhole(first.sql, [chatId, otherId], { readers, writers: [] });
  // The second node does not read from the database, unless the machine is so busy that the publisher is silent for
  // seconds. Without the channels, there would be 20 reads.
  for (const count of countReads) expect(count()).toBeLessThan(5);
  const pieces = network.published.map(({ message }) => decodePiece(message)).filter((piece) => piece !== null);
  const chats = new Set(pieces.flatMap(({ events }) => events).map((event) => String(event.chatId)));
  expect(chats).toEqual(new Set([keyOf(chatId), keyOf(otherId)]));
  const document = 'subscription { events { event { __typename ... on Typing { userId } } } }';
  const typing = await followEvents(second, grace, { document });
  await first.sql.query(`select ring_bell('parley_typing', $1)`, [`${keyOf(chatId)}.${keyOf(ada.userId)}`]);
  expect(eventOf(await typing.next('Typing'))).toMatchObject({ userId: ada.userId });
  await typing.close();
  await second.close();
  await first.close();
});

test('a message that announces events that the log does not have is dropped, and so are invalid messages and those of older publishers', async () => {
  const { network, first, second, ada, grace, chatId, close } = await startBroadcastPair();
  const readers = await Promise.all([first, second].map((node) => new Reader(node, grace).live()));
  const { viewer } = await ada.ask('{ viewer { eventCursor } }');
  const [epoch = '', id = ''] = viewer.eventCursor.split('.');
  const stranger = network.join();
  const genuine = network.published.map(({ message }) => decodeHeader(message)).findLast((header) => header !== null);
  const forged = {
    term: (genuine?.term ?? 0n) + 1_000n,
    after: BigInt(id) + 1_000n,
    through: BigInt(id) + 2_000n,
    isEnd: true,
    readAt: 0,
    shards: [1],
    events: [],
    known: null,
    noticeCount: 0,
  };
  for (const message of ['nonsense', encodeHeader({ ...forged, term: 0n }), encodeHeader(forged)]) {
    await stranger.publish(headerChannel(epoch), message);
    await insertMessage(first, chatId, ada, 'goes on');
  }
  await expectWhole(first.sql, [chatId], { readers, writers: [] });
  await close();
});
