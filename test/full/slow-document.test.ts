import { expect, test } from 'vitest';
import { createGroup, insertMessage } from '../support/chat.ts';
import { signUp } from '../support/client.ts';
import { expectWhole } from '../support/fault.ts';
import { openProxy } from '../support/proxy.ts';
import { Reader } from '../support/reader.ts';
import { startServer } from '../support/server.ts';

const server = await startServer();
const ada = await signUp(server, 'ada');
const grace = await signUp(server, 'grace');

/** A document that needs an additional statement, unlike the usual document. */
const needsReactions = { ofMessage: 'reactions { emoji }' };

test('a stream whose document hangs gets its position no more often than other streams', async () => {
  const proxy = await openProxy(server.database.url);
  const env = { DATABASE_URL: proxy.through(server.database.url), DATABASE_DIRECT_URL: server.database.url };
  const streamTimes = { sweep: 10, cursorRefresh: 300 };
  await using node = await startServer({ database: server.database, env, overrides: { streamTimes } });
  const chatId = await createGroup(ada, [grace]);
  const [slow, swift] = [await new Reader(node, grace, needsReactions).live(), await new Reader(node, ada).live()];
  const rendering = proxy.hold('join reaction_counts c using');
  await insertMessage(server, chatId, ada, 'behind a lock');
  await rendering.caught;
  const [slowBefore, swiftBefore] = [slow.caughtUpCount, swift.caughtUpCount];
  await swift.until(() => swift.caughtUpCount >= swiftBefore + 5);
  rendering.release();
  await slow.until(() => slow.heardCount === 1);
  await expectWhole(server.sql, [chatId], { readers: [slow, swift], writers: [] });
  expect(slow.caughtUpCount - slowBefore).toBeLessThanOrEqual(swift.caughtUpCount - swiftBefore);
});
