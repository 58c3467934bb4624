import { expect, onTestFinished, test, vi } from 'vitest';
import { findFreePort } from '../../src/postgres/embedded/server.ts';
import { generateKeySet } from '../../src/account/token-key.ts';
import { createGroup } from '../support/chat.ts';
import { signUp } from '../support/client.ts';
import { createDatabase } from '../support/database.ts';
import { expectWhole, hearMore } from '../support/fault.ts';
import { Reader } from '../support/reader.ts';
import { runServer } from '../support/server-process.ts';
import { startServer } from '../support/server.ts';
import { writeWithMutation, writeWithSql } from '../support/writer.ts';

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

test('a server is killed and started again: its readers miss nothing, and no acknowledged message is lost', async () => {
  const { database, ada, grace, linus, run, chatId } = await startChat();
  const first = run();
  const server = { url: await first.url };
  const readers = await Promise.all([grace, linus].map((person) => new Reader(server, person).live()));
  const writers = [writeWithMutation(server, [chatId], ada), writeWithSql(database.url, [chatId], grace)];
  await hearMore(readers, 100);
  first.kill('SIGKILL');
  await first.ended;
  expect(await run().url).toBe(server.url);
  await hearMore(readers, 100);
  await expectWhole(database.sql, [chatId], { readers, writers });
  expect(Math.min(...readers.map(({ streamCount }) => streamCount))).toBeGreaterThan(1);
});
