import { expect, test } from 'vitest';
import { createGroup, keyOf } from '../support/chat.ts';
import { signUpAll } from '../support/client.ts';
import { deadlockWith, startPatientServer } from '../support/deadlock.ts';
import { download, upload } from '../support/file.ts';
import { setMemberRole } from '../support/membership.ts';

const server = await startPatientServer();
const [ada, grace] = await signUpAll(server, 'ada', 'grace');

test('a change to a chat that deadlocks with psql is retried', async () => {
  const chatId = await createGroup(ada, [grace]);
  const member = await deadlockWith(
    server,
    {
      first: ['select from members where chat_id = $1 and user_id = $2 for update', keyOf(chatId), keyOf(grace.userId)],
      second: ['select from chats where id = $1 for update', keyOf(chatId)],
    },
    () => setMemberRole(ada, chatId, grace.userId, 'ADMIN'),
  );
  expect(member).toMatchObject({ role: 'ADMIN' });
});

test('an upload that deadlocks with psql is retried, with its bytes', async () => {
  const content = 'too long to be stored in the database. '.repeat(1000);
  await upload(server, ada, content);
  const file = await deadlockWith(
    server,
    {
      first: [`select lock_hashes(array_agg(encode(hash, 'hex'))) from blobs where bytes is null`],
      second: [`select pg_advisory_xact_lock(lock_key('personal storage'), storage_lock($1))`, keyOf(ada.userId)],
    },
    () => upload(server, ada, content, 'again.txt'),
  );
  expect(await (await download(server, file.url)).text()).toBe(content);
});
