import { beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { createGroup, keyOf } from '../support/chat.ts';
import { signUp, type Person } from '../support/client.ts';
import { startFaultyPostgres, type FaultyPostgres } from '../support/fault-postgres.ts';
import { hearMore, readChat } from '../support/fault.ts';
import { Reader } from '../support/reader.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { writeWithMutation, writeWithSql } from '../support/writer.ts';
import { atFileEnd } from '../support/file-end.ts';

// A busy machine takes a while to stop and start databases.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let postgres: FaultyPostgres;
beforeAll(async () => {
  postgres = await startFaultyPostgres();
});
atFileEnd(() => postgres.remove());

/** Two nodes on their own database, and a chat of ada, grace and linus. */
async function startNodes() {
  const database = await postgres.createDatabase();
  const nodes = [await startServer({ database }), await startServer({ database })] as const;
  onTestFinished(async () => {
    await Promise.all(nodes.map((node) => node.close()));
    await database.drop();
  });
  const [ada, grace, linus] = await Promise.all(['ada', 'grace', 'linus'].map((name) => signUp(nodes[0], name)));
  if (ada === undefined || grace === undefined || linus === undefined) throw new Error('a user could not sign up');
  return { database, nodes, ada, grace, linus, chatId: await createGroup(ada, [grace, linus]) };
}

const insertMany = (node: TestServer, chatId: string, sender: Person, count: number) =>
  node.sql.query(
    `insert into messages (chat_id, seq, sender_id, content)
    select id, last_seq + n, $2, 'message ' || n from chats, generate_series(1, $3::int) n where id = $1`,
    [keyOf(chatId), keyOf(sender.userId), count],
  );

async function restart(between: () => Promise<void>) {
  await postgres.end('SIGINT');
  await between();
  await postgres.resume();
}

describe('after a restore from an older backup', () => {
  test('open streams start over with Reset, and miss nothing after it', async () => {
    const { database, nodes, ada, grace, linus, chatId } = await startNodes();
    await restart(postgres.backUp);
    const readers = await Promise.all([new Reader(nodes[0], grace).live(), new Reader(nodes[1], linus).live()]);
    const lost = writeWithSql(database.url, [chatId], ada);
    await hearMore(readers, 50);
    await lost.stop();
    await restart(postgres.restore);
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
    const { database, nodes, ada, grace, linus, chatId } = await startNodes();
    const name = new URL(database.url).pathname.slice(1);
    const readers = await Promise.all([new Reader(nodes[0], grace).live(), new Reader(nodes[1], linus).live()]);
    await copyDatabase(name, `${name}_copy`);
    await insertMany(nodes[0], chatId, ada, 10);
    await Promise.all(readers.map((reader) => reader.until(() => reader.heardCount === 10)));
    await postgres.run(`drop database ${name} with (force)`);
    await copyDatabase(`${name}_copy`, name);
    await insertMany(nodes[0], chatId, ada, 40);
    for (const reader of readers) await reader.until(() => reader.resets.length > 0);
    await insertMany(nodes[0], chatId, ada, 5);
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

/** The database being copied must have no connections. */
async function copyDatabase(from: string, to: string) {
  await postgres.run(`alter database ${from} allow_connections false`);
  await postgres.run(`select pg_terminate_backend(pid) from pg_stat_activity where datname = '${from}'`);
  await postgres.run(`create database ${to} template ${from}`);
  await postgres.run(`alter database ${from} allow_connections true`);
}
