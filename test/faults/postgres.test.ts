import { beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { createGroup, keyOf } from '../support/chat.ts';
import { signUp, type Person } from '../support/client.ts';
import { startFaultyPostgres, type FaultyPostgres } from '../support/fault-postgres.ts';
import { expectWhole, hearMore } from '../support/fault.ts';
import { Reader } from '../support/reader.ts';
import { rounds } from '../support/rounds.ts';
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

test('when PostgreSQL ends with SIGINT, SIGQUIT or SIGKILL and is started again, no one misses anything, and no acknowledged message is lost', async () => {
  const { database, nodes, ada, grace, linus, chatId } = await startNodes();
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

/** The current position of the log, for a reader who begins there. */
const readCursor = async (person: Person): Promise<string> =>
  (await person.ask('{ viewer { eventCursor } }')).viewer.eventCursor;

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
  test('cursors of the lost history get Reset, even if the new history is longer by then', async () => {
    const { database, nodes, ada, grace, chatId } = await startNodes();
    await insertMany(nodes[0], chatId, ada, 3);
    const kept = await readCursor(grace);
    await restart(postgres.backUp);
    await insertMany(nodes[0], chatId, ada, 20);
    const lost = await readCursor(grace);
    await restart(postgres.restore);
    await insertMany(nodes[0], chatId, ada, 30);
    await using later = await startServer({ database });
    const early = await new Reader(later, grace, { cursor: kept }).live();
    expect(early.heardIn(chatId)).toHaveLength(30);
    const late = await new Reader(later, grace, { cursor: lost }).live();
    expect(late.resets).toHaveLength(1);
  });
});
