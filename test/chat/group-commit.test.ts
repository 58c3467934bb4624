import { beforeAll, expect, test } from 'vitest';
import { connectDatabase, disconnectDatabase, type Db } from '../../src/postgres/client.ts';
import { GroupCommit } from '../../src/chat/group-commit.ts';
import { sendMessage } from '../../src/message/message.ts';
import { addReaction } from '../../src/message/reaction.ts';
import { markRead } from '../../src/chat/read-marker.ts';
import type { Asker } from '../../src/core/asker.ts';
import { createGroup, heardBy, keyOf, say } from '../support/chat.ts';
import { signUp, type Person } from '../support/client.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { recordStatements } from '../support/statements.ts';
import { followEvents } from '../support/stream.ts';
import { atFileEnd } from '../support/file-end.ts';

let server: TestServer;
let ada: Person;
let grace: Person;
let db: Db;
beforeAll(async () => {
  server = await startServer();
  [ada, grace] = await Promise.all([signUp(server, 'ada'), signUp(server, 'grace')]);
  db = connectDatabase({
    url: server.database.url,
    maxConnections: 5,
    statementTimeoutMs: 10_000,
    onError: () => undefined,
  });
});
atFileEnd(() => disconnectDatabase(db));

const viewerOf = ({ userId }: Person): Asker => ({
  kind: 'SESSION',
  userId: BigInt(keyOf(userId)),
  sessionId: 0n,
  expiresAt: new Date(Date.now() + 60_000),
});
const send = (writes: GroupCommit, by: Person, chat: string, content: string, clientMessageId: string | null = null) =>
  sendMessage(writes, viewerOf(by), {
    chatId: BigInt(keyOf(chat)),
    content,
    fileIds: [],
    replyToId: null,
    clientMessageId,
    custom: {},
  });

test('all requests that arrive during a write share one transaction, however many they are', async () => {
  const chats = await Promise.all([createGroup(ada, [grace]), createGroup(grace, [ada])]);
  const messageId = await say(ada, chats[0] ?? '', 'to be reacted to');
  const writes = new GroupCommit(db.pool);
  const costOf = (count: number) =>
    recordStatements(server, () =>
      Promise.all([
        send(writes, ada, chats[0] ?? '', 'the first goes at once'),
        ...Array.from({ length: count }, (_, n) =>
          send(writes, n % 3 ? ada : grace, chats[n % 2] ?? '', `number ${n}`),
        ),
        ...[ada, grace].map((person) =>
          markRead(writes, viewerOf(person), { chatId: BigInt(keyOf(chats[0] ?? '')), seq: 1, rewind: true }),
        ),
      ]),
    );
  // Each new connection first prepares its statements.
  await db.pool.query('select');
  const few = await costOf(5);
  const many = await costOf(400);
  expect(few.filter((statement) => statement === 'commit')).toHaveLength(2);
  expect(many).toEqual(few);
  // Each reaction first looks up its message in a separate statement. After that, the reactions share transactions too.
  const emoji = ['👍', '❤️', '🎉', '🙂', '🐛', '🔥', '👀', '🚀', '🌈', '🍀', '🎈', '🎵', '💡', '🧭', '🪐', '🦉'];
  const reactions = await recordStatements(server, () =>
    Promise.all(
      emoji.map((each) =>
        addReaction({ db, writes }, viewerOf(grace), { messageId: BigInt(keyOf(messageId)), emoji: each }),
      ),
    ),
  );
  expect(reactions.filter((statement) => statement === 'commit').length).toBeLessThan(emoji.length);
});

test('messages of one user are stored in the order in which they sent them, and arrive in that order', async () => {
  const chat = await createGroup(ada, [grace]);
  await using stream = await followEvents(server, grace);
  const writes = new GroupCommit(db.pool);
  const contents = Array.from({ length: 700 }, (_, n) => `number ${n}`);
  const sent = await Promise.all(
    contents.flatMap((content) => [send(writes, ada, chat, content), send(writes, grace, chat, `${content} of grace`)]),
  );
  const byAda = sent.filter((_, index) => index % 2 === 0);
  expect(byAda.map(({ content }) => content)).toEqual(contents);
  const seqs = byAda.map(({ seq }) => seq);
  expect(seqs).toEqual(seqs.toSorted((one, other) => one - other));
  const heard = (await heardBy(grace, stream)).flatMap(({ message }) => (message === undefined ? [] : [message]));
  expect(heard.map(({ seq }) => seq)).toEqual(Array.from({ length: 1_400 }, (_, index) => index + 1));
  expect(heard.filter(({ sender }) => sender.username === 'ada').map(({ content }) => content)).toEqual(contents);
});

test('a message that the database refuses fails alone, and leaves no gap', async () => {
  const chat = await createGroup(ada, [grace]);
  await server.sql.query(`alter table messages add constraint no_poison check (content <> 'poison')`);
  const writes = new GroupCommit(db.pool);
  const contents = Array.from({ length: 40 }, (_, n) => (n === 17 ? 'poison' : `number ${n}`));
  const sent = await Promise.allSettled([
    ...contents.map((content) => send(writes, ada, chat, content)),
    markRead(writes, viewerOf(grace), { chatId: BigInt(keyOf(chat)), seq: 0, rewind: true }),
  ]);
  await server.sql.query('alter table messages drop constraint no_poison');
  expect(sent.map(({ status }) => status)).toEqual([
    ...contents.map((content) => (content === 'poison' ? 'rejected' : 'fulfilled')),
    'fulfilled',
  ]);
  const { rows } = await server.sql.query('select seq, content from messages where chat_id = $1 order by seq', [
    keyOf(chat),
  ]);
  const kept = contents.filter((content) => content !== 'poison');
  expect(rows).toEqual(kept.map((content, index) => ({ seq: index + 1, content })));
});

test('others can read a message by the time its sender gets the response', async () => {
  const chat = await createGroup(ada, [grace]);
  const writes = new GroupCommit(db.pool);
  const seen = await Promise.all(
    Array.from({ length: 50 }, async (_, n) => {
      const { id } = await send(writes, ada, chat, `number ${n}`, `key ${n}`);
      return (await server.sql.query('select from messages where id = $1', [id])).rowCount;
    }),
  );
  expect(seen).toEqual(seen.map(() => 1));
});

test('when ten thousand requests are waiting, further ones are refused with the time after which to retry', async () => {
  const chat = await createGroup(ada, [grace]);
  const writes = new GroupCommit(db.pool);
  const sent = await Promise.allSettled(
    Array.from({ length: 10_005 }, (_, n) => send(writes, ada, chat, `number ${n}`)),
  );
  const refused = sent.filter(({ status }) => status === 'rejected');
  expect(refused).toHaveLength(5);
  expect(refused[0]).toMatchObject({ reason: { retryAfterSeconds: 1 } });
  const { rows } = await server.sql.query('select last_seq from chats where id = $1', [keyOf(chat)]);
  expect(rows).toEqual([{ last_seq: 10_000 }]);
});
