import { beforeAll, describe, expect, test, vi } from 'vitest';
import { insertMessages } from '../support/chat.ts';
import type { Person } from '../support/client.ts';
import { restart, startFaultNodes } from '../support/fault-node.ts';
import { startFaultyPostgres, type FaultyPostgres } from '../support/fault-postgres.ts';
import { expectWhole, hearMore } from '../support/fault.ts';
import { Reader } from '../support/reader.ts';
import { rounds } from '../support/rounds.ts';
import { startServer } from '../support/server.ts';
import { writeWithMutation, writeWithSql } from '../support/writer.ts';
import { atFileEnd } from '../support/file-end.ts';

// A busy machine takes a while to stop and start databases.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let postgres: FaultyPostgres;
beforeAll(async () => {
  postgres = await startFaultyPostgres();
});
atFileEnd(() => postgres.remove());

test('when PostgreSQL ends with SIGINT, SIGQUIT or SIGKILL and is started again, no one misses anything, and no acknowledged message is lost', async () => {
  const { database, nodes, ada, grace, linus, chatId } = await startFaultNodes(postgres);
  const readers = await Promise.all([new Reader(nodes[0], grace).live(), new Reader(nodes[1], linus).live()]);
  const restless = await new Reader(nodes[1], grace).live();
  const writers = [
    writeWithMutation(nodes[0], [chatId], ada),
    writeWithSql(database.url, [chatId], ada),
    writeWithSql(database.url, [chatId], grace),
  ];
  await hearMore(readers, 60);
  for (const signal of rounds<NodeJS.Signals[]>(['SIGKILL'], ['SIGINT', 'SIGQUIT', 'SIGKILL'])) {
    await postgres.end(signal);
    restless.cut();
    await postgres.resume();
    await hearMore([...readers, restless], 60);
  }
  await expectWhole(database.sql, [chatId], { readers: [...readers, restless], writers });
  expect(readers.map(({ streamCount }) => streamCount)).toEqual([1, 1]);
});

/** Returns the current position in the log, for a reader who begins there. */
const readCursor = async (person: Person): Promise<string> =>
  (await person.ask('{ viewer { eventCursor } }')).viewer.eventCursor;

describe('after a restore from an older backup', () => {
  test('cursors of the lost history get Reset, even if the new history is longer by then', async () => {
    const { database, nodes, ada, grace, chatId } = await startFaultNodes(postgres);
    await insertMessages(nodes[0], chatId, ada, { count: 3 });
    const kept = await readCursor(grace);
    await restart(postgres, postgres.backUp);
    await insertMessages(nodes[0], chatId, ada, { count: 20 });
    const lost = await readCursor(grace);
    await restart(postgres, postgres.restore);
    await insertMessages(nodes[0], chatId, ada, { count: 30 });
    await using later = await startServer({ database });
    const early = await new Reader(later, grace, { cursor: kept }).live();
    expect(early.heardIn(chatId)).toHaveLength(30);
    const late = await new Reader(later, grace, { cursor: lost }).live();
    expect(late.resets).toHaveLength(1);
  });
});
