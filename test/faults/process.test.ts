import { expect, onTestFinished, test, vi } from 'vitest';
import { findFreePort } from '../../src/postgres/embedded/server.ts';
import { generateKeySet } from '../../src/account/token-key.ts';
import { createGroup, insertMessage, keyOf } from '../support/chat.ts';
import { post, signUp } from '../support/client.ts';
import { createDatabase } from '../support/database.ts';
import { Reader } from '../support/reader.ts';
import { runServer } from '../support/server-process.ts';
import { startServer } from '../support/server.ts';

// A busy machine takes a while to start whole servers.
vi.setConfig({ testTimeout: 60_000 });

const jwtKeys = generateKeySet();

/** A chat of ada, grace and linus, a node in this process, and a function that starts another in a separate process. */
async function startChat() {
  const database = await createDatabase();
  onTestFinished(database.drop);
  const node = await startServer({ database, env: { JWT_KEYS: jwtKeys } });
  onTestFinished(node.close);
  const [ada, grace, linus] = [await signUp(node, 'ada'), await signUp(node, 'grace'), await signUp(node, 'linus')];
  const port = String(await findFreePort());
  const run = () => runServer({ DATABASE_URL: database.url, JWT_KEYS: jwtKeys, PORT: port });
  return { database, node, ada, grace, linus, run, chatId: await createGroup(ada, [grace, linus]) };
}

// If the server threw an error that nothing caught, vitest would report it: the server runs in this process.
test('a server survives the end of a connection in the middle of a transaction', async () => {
  const { database, node, ada, grace, chatId } = await startChat();
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
