import { expect, test } from 'vitest';
import { membersOf, memberByKey } from '../../src/chat/member.ts';
import { unreadCountOf } from '../../src/chat/unread.ts';
import { visibleFromOf } from '../../src/chat/visibility.ts';
import type { Asker } from '../../src/core/asker.ts';
import { LogReads } from '../../src/log/log-reads.ts';
import { messagesIn, readersOf } from '../../src/message/history.ts';
import { messageByKey } from '../../src/message/message-loader.ts';
import { visibleMessageById } from '../../src/message/message.ts';
import { openChat } from '../../src/message/opened-chat.ts';
import { ownReactionsOf, reactionsOf } from '../../src/message/reaction.ts';
import { connectDatabase, disconnectDatabase } from '../../src/postgres/client.ts';
import { Loaders } from '../../src/postgres/loader.ts';
import { createGroup, keyOf, say } from '../support/chat.ts';
import { signUpAll } from '../support/client.ts';
import { sharedServer } from '../support/shared-server.ts';

test('PostgreSQL keeps the plans of statements that take arrays, however short these are', async () => {
  const server = await sharedServer();
  const [ada, grace] = await signUpAll(server, 'planner', 'planned');
  const chat = await createGroup(ada, [grace]);
  const messageId = BigInt(keyOf(await say(ada, chat, 'hello')));
  // The pool has a single connection, so that one statement can count all plans.
  const db = connectDatabase({
    url: server.database.url,
    maxConnections: 1,
    statementTimeoutMs: 10_000,
    onError: () => {},
  });
  const reads = new LogReads(db.pool);
  const [chatId, userId, seq] = [BigInt(keyOf(chat)), BigInt(keyOf(grace.userId)), 1];
  const asker: Asker = { kind: 'SESSION', userId, sessionId: 1n, expiresAt: new Date() };
  const reader = { userId, sessionId: 1n };
  const range = { after: 0n, through: 10n ** 9n, limit: 10 };
  const page = { limit: 10, isBackward: true, after: null, before: null };
  // PostgreSQL makes five plans before it considers keeping a generic one.
  for (let round = 0; round < 12; round += 1) {
    const loaders = new Loaders(db);
    await Promise.all([
      openChat(loaders, { chatId, asker }, page),
      loaders.ofPage(messagesIn, { ...page, limit: 9 }).load({ chatId, asker }),
      loaders.ofPage(membersOf, page).load(chatId),
      loaders.ofPage(readersOf, page).load({ chatId, asker, seq }),
      loaders.of(memberByKey).load({ chatId, userId }),
      loaders.of(unreadCountOf).load({ chatId, userId }),
      loaders.of(visibleFromOf).load({ chatId, asker }),
      loaders.of(messageByKey).load({ chatId, seq }),
      loaders.of(visibleMessageById).load({ messageId, asker }),
      loaders.of(reactionsOf).load({ chatId, seq }),
      loaders.of(ownReactionsOf).load({ chatId, seq, asker }),
      reads.snapshot(reader),
      reads.missed({ reader, range }),
      reads.missedInChat({ reader, range, chatId }),
    ]);
  }
  const { rows } = await db.pool.query<{ name: string; custom: bigint; generic: bigint }>(
    'select name, custom_plans as custom, generic_plans as generic from pg_prepared_statements order by name',
  );
  await disconnectDatabase(db);
  expect(rows.length).toBeGreaterThanOrEqual(14);
  expect(rows.filter(({ custom, generic }) => custom > 5n || generic === 0n)).toEqual([]);
});
