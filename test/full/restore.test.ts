import { beforeAll, describe, expect, test, vi } from 'vitest';
import { insertMessages } from '../support/chat.ts';
import { restart, startFaultNodes } from '../support/fault-node.ts';
import { startFaultyPostgres, type FaultyPostgres } from '../support/fault-postgres.ts';
import { hearMore, readChat } from '../support/fault.ts';
import { Reader } from '../support/reader.ts';
import { writeWithMutation, writeWithSql } from '../support/writer.ts';
import { atFileEnd } from '../support/file-end.ts';

// A busy machine takes a while to stop and start databases.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let postgres: FaultyPostgres;
beforeAll(async () => {
  postgres = await startFaultyPostgres();
});
atFileEnd(() => postgres.remove());

describe('after a restore from an older backup', () => {
  test('open streams start over with Reset, and miss nothing after it', async () => {
    const { database, nodes, ada, grace, linus, chatId } = await startFaultNodes(postgres);
    await restart(postgres, postgres.backUp);
    const readers = await Promise.all([new Reader(nodes[0], grace).live(), new Reader(nodes[1], linus).live()]);
    const lost = writeWithSql(database.url, [chatId], ada);
    await hearMore(readers, 50);
    await lost.stop();
    await restart(postgres, postgres.restore);
    for (const reader of readers) await reader.until(() => reader.resets.length > 0);
    const writer = writeWithMutation(nodes[0], [chatId], ada);
    await hearMore(readers, 50);
    await writer.stop();
    const written = await readChat(database.sql, chatId);
    for (const reader of readers) {
      await reader.until(() => reader.heardIn(chatId).at(-1)?.content === written.at(-1)?.content);
      expect(reader.heardIn(chatId).slice(-written.length)).toEqual(written);
      expect(reader.faults).toEqual([]);
    }
  });

  test('into the same cluster, from a template database, every cursor gets Reset although the servers keep running', async () => {
    const { database, nodes, ada, grace, linus, chatId } = await startFaultNodes(postgres);
    const name = new URL(database.url).pathname.slice(1);
    const readers = await Promise.all([new Reader(nodes[0], grace).live(), new Reader(nodes[1], linus).live()]);
    await copyDatabase(name, `${name}_copy`);
    await insertMessages(nodes[0], chatId, ada, { count: 10 });
    await Promise.all(readers.map((reader) => reader.until(() => reader.heardCount === 10)));
    await postgres.run(`drop database ${name} with (force)`);
    await copyDatabase(`${name}_copy`, name);
    await insertMessages(nodes[0], chatId, ada, { count: 40 });
    for (const reader of readers) await reader.until(() => reader.resets.length > 0);
    await insertMessages(nodes[0], chatId, ada, { count: 5 });
    for (const reader of readers) {
      await reader.until(() => reader.heardIn(chatId).at(-1)?.seq === 45);
      expect(
        reader
          .heardIn(chatId)
          .slice(-5)
          .map(({ seq }) => seq),
      ).toEqual([41, 42, 43, 44, 45]);
      expect(reader.faults).toEqual([]);
    }
  });
});

/** Copies a database, which must have no connections while it is being copied. */
async function copyDatabase(from: string, to: string) {
  await postgres.run(`alter database ${from} allow_connections false`);
  await postgres.run(`select pg_terminate_backend(pid) from pg_stat_activity where datname = '${from}'`);
  await postgres.run(`create database ${to} template ${from}`);
  await postgres.run(`alter database ${from} allow_connections true`);
}
