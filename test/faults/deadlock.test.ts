import { expect, test } from 'vitest';
import { createGroup, keyOf, say } from '../support/chat.ts';
import { signUpAll } from '../support/client.ts';
import { asSuperuser } from '../support/database.ts';
import { countWaiting, deadlockWith, lock, startPatientServer } from '../support/deadlock.ts';
import { addReaction, removeReaction } from '../support/message.ts';

const server = await startPatientServer();
const [ada, grace] = await signUpAll(server, 'ada', 'grace');

test('a write that deadlocks with psql is retried', async () => {
  const chatId = await createGroup(ada, [grace]);
  const messageId = await say(ada, chatId, 'hello');
  await addReaction(ada, messageId, '👍');
  await addReaction(grace, messageId, '👍');
  const message = await deadlockWith(
    server,
    {
      first: ['select from reactions where chat_id = $1 and user_id = $2 for update', keyOf(chatId), keyOf(ada.userId)],
      second: ['select from chats where id = $1 for update', keyOf(chatId)],
    },
    () => removeReaction(ada, messageId, '👍'),
  );
  expect(message.reactions).toEqual([{ emoji: '👍', count: 1, viewerReacted: false }]);
});

test('a write that waited long for its chat still waits for its message', async () => {
  const chatId = await createGroup(ada, [grace]);
  const messageId = await say(ada, chatId, 'hello');
  const message = await asSuperuser(server.database, async (chatHolder) =>
    asSuperuser(server.database, async (messageHolder) => {
      await chatHolder.query('begin');
      await lock(chatHolder, ['select from chats where id = $1 for update', keyOf(chatId)]);
      const requested = addReaction(ada, messageId, '👍');
      await expect.poll(() => countWaiting(server)).toBe(1);
      await messageHolder.query('begin');
      await lock(messageHolder, ['select from messages where id = $1 for share', keyOf(messageId)]);
      // This pause is longer than the time for which a write waits for the lock on its message.
      await chatHolder.query('select pg_sleep(3.5)');
      await chatHolder.query('commit');
      await expect.poll(() => countWaiting(server)).toBe(0);
      await messageHolder.query('select pg_sleep(0.3)');
      await messageHolder.query('commit');
      return requested;
    }),
  );
  expect(message.reactions).toEqual([{ emoji: '👍', count: 1, viewerReacted: true }]);
});
