import { beforeAll, expect, test } from 'vitest';
import { createChat, keyOf } from '../support/chat.ts';
import { type Person, signUpAll } from '../support/client.ts';
import { leaveChat } from '../support/membership.ts';
import type { TestServer } from '../support/server.ts';
import { sharedServer } from '../support/shared-server.ts';

let server: TestServer;
let ada: Person;
let grace: Person;
beforeAll(async () => {
  server = await sharedServer();
  [ada, grace] = await signUpAll(server, 'ada', 'grace');
});

/** Creates a chat with Ada and Grace. */
async function create(type: string): Promise<string> {
  const name = type === 'SINGLE' ? null : 'of ada and grace';
  return (await createChat(ada, { type, name, memberIds: [grace.userId] })).id;
}

test('a chat that psql has locked does not make a request wait forever', async () => {
  const chat = await create('GROUP');
  const client = await server.sql.connect();
  try {
    await client.query('begin');
    await client.query('select from chats where id = $1 for update', [keyOf(chat)]);
    const held = await ada.post('mutation ($id: ID!) { leaveChat(chatId: $id) { __typename } }', { id: chat });
    expect(held.errors).toMatchObject([{ extensions: { code: 'RATE_LIMITED', retryAfterSeconds: 1 } }]);
  } finally {
    await client.query('rollback');
    client.release();
  }
  expect(await leaveChat(grace, chat)).toMatchObject({ __typename: 'ChatGone' });
});
