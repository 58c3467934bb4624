import { expect, onTestFinished, test, vi } from 'vitest';
import { insertMessage, keyOf } from '../support/chat.ts';
import { post } from '../support/client.ts';
import { startProcessChat } from '../support/process-chat.ts';
import { Reader } from '../support/reader.ts';

// A busy machine takes a while to start whole servers.
vi.setConfig({ testTimeout: 60_000 });

// The server runs in this process, so vitest would report any error of the server that nothing caught.
test('a server survives the end of a connection in the middle of a transaction', async () => {
  const { database, node, ada, grace, chatId } = await startProcessChat();
  const reader = await new Reader(node, grace).live();
  const holder = await database.sql.connect();
  onTestFinished(() => holder.release());
  await holder.query('begin');
  await holder.query('select from chats where id = $1 for update', [keyOf(chatId)]);
  const sending = post(node.url, sendMutation, { chatId, content: 'is cut off' }, { token: ada.token });
  const findWaiting = () =>
    database.sql.query(
      `select pid from pg_stat_activity where application_name = 'parley' and wait_event_type = 'Lock'`,
    );
  await expect.poll(async () => (await findWaiting()).rowCount, { timeout: 10_000 }).toBe(1);
  await database.sql.query('select pg_terminate_backend($1, 5000)', [(await findWaiting()).rows[0].pid]);
  await holder.query('commit');
  await sending;
  await insertMessage(node, chatId, ada, 'goes on');
  await reader.until(() => reader.heardIn(chatId).some(({ content }) => content === 'goes on'));
  expect(reader.streamCount).toBe(1);
});

const sendMutation = `mutation ($chatId: ID!, $content: String!) {
  sendMessage(input: { chatId: $chatId, content: $content }) { __typename }
}`;
