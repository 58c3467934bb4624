import { expect, test, vi } from 'vitest';
import { expectWhole, hearMore } from '../support/fault.ts';
import { startProcessChat } from '../support/process-chat.ts';
import { Reader } from '../support/reader.ts';
import { writeWithMutation, writeWithSql } from '../support/writer.ts';

// A busy machine takes a while to start whole servers.
vi.setConfig({ testTimeout: 60_000 });

test('a server is killed and started again: its readers miss nothing, and no acknowledged message is lost', async () => {
  const { database, ada, grace, linus, run, chatId } = await startProcessChat();
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
