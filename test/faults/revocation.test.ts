import { expect, test } from 'vitest';
import {
  addMembers,
  createGroup,
  createPublicChannel,
  insertMessage,
  keyOf,
  removeMember,
  say,
} from '../support/chat.ts';
import { signUp, type Person } from '../support/client.ts';
import { hearMore } from '../support/fault.ts';
import { Reader, type ReaderOptions } from '../support/reader.ts';
import { sharedNode, sharedServer } from '../support/shared-server.ts';
import { writeWithMutation, writeWithSql, type Writer } from '../support/writer.ts';

const server = await sharedServer();
const otherNode = await sharedNode(server);
const ada = await signUp(server, 'ada');
const grace = await signUp(server, 'grace');
const linus = await signUp(server, 'linus');

const readCursor = async (person: Person): Promise<string> =>
  (await person.ask('{ viewer { eventCursor } }')).viewer.eventCursor;

/** Starts one reader on each node, and waits until both are live. */
const startReaders = (person: { token: string }, options: ReaderOptions = {}) =>
  Promise.all([server, otherNode].map((node) => new Reader(node, person, options).live()));

const startWriters = (chatIds: string[]): Writer[] => [
  writeWithMutation(server, chatIds, ada),
  writeWithSql(server.database.url, chatIds, linus),
];

/** Returns the id of the newest event of this kind in the chat. */
async function findEvent(kind: string, chatId: string): Promise<bigint> {
  const { rows } = await server.sql.query('select max(id) as id from events where kind = $1 and chat_id = $2', [
    kind,
    keyOf(chatId),
  ]);
  return BigInt(rows[0].id);
}

/** Returns the ids and kinds of a chat's events. */
async function readLog(chatId: string): Promise<{ id: bigint; kind: string }[]> {
  const { rows } = await server.sql.query('select id, kind from events where chat_id = $1 order by id', [
    keyOf(chatId),
  ]);
  return rows.map(({ id, kind }) => ({ id: BigInt(id), kind }));
}

const toldOf = (reader: Reader, chatId: string) =>
  reader.told.filter((told) => told.chatId === chatId).map(({ id, kind }) => ({ id, kind }));

/** Resolves when these readers have received everything that they should have received so far. */
async function settle(readers: Reader[]) {
  const marker = await createGroup(ada, [grace, linus], 'a marker');
  await Promise.all(
    readers.map((reader) => reader.until(() => reader.told.some(({ chatId }) => chatId === marker), 'the marker')),
  );
}

test('a removed member has received everything from before the removal, and receives nothing after it, on any node', async () => {
  const chatId = await createGroup(ada, [grace, linus]);
  const from = await readCursor(grace);
  const live = await startReaders(grace, { cursor: from });
  const witnesses = await startReaders(linus);
  const restless = await startReaders(grace, { cursor: from });
  const hurry = setInterval(() => {
    for (const reader of restless) reader.cut();
  }, 60);
  const writers = startWriters([chatId]);
  await hearMore([...live, ...witnesses], 40);
  await removeMember(server, chatId, grace);
  await hearMore(witnesses, 40);
  clearInterval(hurry);
  await Promise.all(writers.map((writer) => writer.stop()));
  await settle([...live, ...restless, ...witnesses]);

  const removal = await findEvent('RemoveFromChat', chatId);
  const before = (await readLog(chatId)).filter(({ id }) => id > BigInt(from.split('.')[1] ?? 0) && id <= removal);
  for (const reader of live) expect(toldOf(reader, chatId)).toEqual(before);
  for (const reader of restless) {
    expect(toldOf(reader, chatId).at(-1)).toEqual({ id: removal, kind: 'RemoveFromChat' });
    expect(before).toEqual(expect.arrayContaining(toldOf(reader, chatId)));
  }
  for (const reader of [...live, ...restless, ...witnesses]) expect(reader.faults).toEqual([]);
  // A user who was away receives only the removal.
  const [late] = await startReaders(grace, { cursor: from });
  expect(late && toldOf(late, chatId)).toEqual([{ id: removal, kind: 'RemoveFromChat' }]);
});

test('the deletion of a chat is the last event that anyone receives from it, on any node', async () => {
  const chatId = await createGroup(ada, [grace, linus]);
  const from = await readCursor(grace);
  const live = await startReaders(grace, { cursor: from });
  const followers = await startReaders(grace, { cursor: from, chatId });
  const writers = startWriters([chatId]);
  await hearMore([...live, ...followers], 40);
  await server.sql.query('delete from chats where id = $1', [keyOf(chatId)]);
  await Promise.all(writers.map((writer) => writer.stop()));
  await settle(live);

  const log = (await readLog(chatId)).filter(({ id }) => id > BigInt(from.split('.')[1] ?? 0));
  expect(log.at(-1)?.kind).toBe('ChatDeleted');
  for (const reader of live) {
    expect(toldOf(reader, chatId).at(-1)).toEqual(log.at(-1));
    // Delivery leaves out a message whose chat was already gone.
    expect(log).toEqual(expect.arrayContaining(toldOf(reader, chatId)));
    expect(reader.faults).toEqual([]);
  }
  for (const reader of followers) {
    await reader.until(() => reader.end !== null);
    expect(reader.end).toBe('NOT_FOUND');
    expect(toldOf(reader, chatId).at(-1)).toEqual(log.at(-1));
    expect(reader.faults).toEqual([]);
  }
  const [late] = await startReaders(grace, { cursor: from });
  expect(late && toldOf(late, chatId)).toEqual([log.at(-1)]);
});

test('readers who are not members lose a channel that becomes private, after all earlier events, on any node', async () => {
  const chatId = await createPublicChannel(ada);
  await addMembers(server, chatId, [linus]);
  const from = await readCursor(grace);
  const strangers = await startReaders(grace, { cursor: from, chatId });
  const members = await startReaders(linus, { cursor: from, chatId });
  const writers = startWriters([chatId]);
  await hearMore([...strangers, ...members], 40);
  await server.sql.query(`update chats set type = 'PRIVATE_CHANNEL' where id = $1`, [keyOf(chatId)]);
  await hearMore(members, 40);
  await Promise.all(writers.map((writer) => writer.stop()));

  const turn = await findEvent('ChatUpdated', chatId);
  const log = (await readLog(chatId)).filter(({ id }) => id > BigInt(from.split('.')[1] ?? 0));
  for (const reader of strangers) {
    await reader.until(() => reader.end !== null);
    expect(reader.end).toBe('NOT_FOUND');
    expect(toldOf(reader, chatId)).toEqual(log.filter(({ id }) => id <= turn));
    expect(reader.faults).toEqual([]);
  }
  for (const reader of members) {
    await reader.until(() => toldOf(reader, chatId).length === log.length);
    expect(toldOf(reader, chatId)).toEqual(log);
    expect(reader.end).toBeNull();
  }
  const late = new Reader(otherNode, grace, { cursor: from, chatId });
  await late.until(() => late.end !== null);
  expect(late.end).toBe('NOT_FOUND');
  expect(late.told).toEqual([]);
});

test('the streams of a revoked session end where the log records the revocation, on any node; those of other sessions continue', async () => {
  const chatId = await createGroup(ada, [grace, linus]);
  const { signIn } = await server.ask(
    `mutation ($input: SignInInput!) { signIn(input: $input) { ... on SignedIn { accessToken } } }`,
    { input: { email: grace.email, password: grace.password } },
  );
  const phone = { token: signIn.accessToken };
  const from = await readCursor(grace);
  const revoked = [
    ...(await startReaders(phone, { cursor: from })),
    ...(await startReaders(phone, { cursor: from, chatId })),
  ];
  const others = await startReaders(grace, { cursor: from });
  const restless = await startReaders(phone, { cursor: from });
  const hurry = setInterval(() => {
    for (const reader of restless) reader.cut();
  }, 60);
  const writers = startWriters([chatId]);
  await hearMore([...revoked, ...others], 40);
  await server.ask('mutation { signOut }', {}, phone.token);
  await hearMore(others, 40);
  await Promise.all(writers.map((writer) => writer.stop()));
  for (const reader of [...revoked, ...restless]) await reader.until(() => reader.end !== null);
  clearInterval(hurry);

  const { rows } = await server.sql.query(`select max(id) as id from events where kind = 'SessionEnded'`);
  const end = BigInt(rows[0].id);
  const log = (await readLog(chatId)).filter(({ id }) => id > BigInt(from.split('.')[1] ?? 0));
  for (const reader of revoked) {
    expect(reader.end).toBe('UNAUTHENTICATED');
    expect(toldOf(reader, chatId)).toEqual(log.filter(({ id }) => id < end));
    expect(reader.faults).toEqual([]);
  }
  for (const reader of restless) {
    expect(reader.end).toBe('UNAUTHENTICATED');
    const told = toldOf(reader, chatId);
    expect(told).toEqual(log.slice(0, told.length));
    expect(told.at(-1)?.id ?? 0n).toBeLessThan(end);
  }
  for (const reader of others) {
    await reader.until(() => toldOf(reader, chatId).length === log.length);
    expect(toldOf(reader, chatId)).toEqual(log);
  }
});

test('a user who is added while streaming receives everything from AddToChat onward, on any node', async () => {
  const chatId = await createGroup(ada, [linus]);
  const hidden = await say(ada, chatId, 'from before');
  const live = await startReaders(grace);
  const writers = startWriters([chatId]);
  const [witness] = await startReaders(linus);
  if (witness === undefined) throw new Error('no one reads');
  await hearMore([witness], 40);
  // This inserts a membership as the server does: its history begins with the next message.
  await server.sql.query(
    `insert into members (chat_id, user_id, visible_from_seq) select id, $2, last_seq + 1 from chats where id = $1`,
    [keyOf(chatId), keyOf(grace.userId)],
  );
  await server.sql.query(`update messages set content = 'edited' where id = $1`, [keyOf(hidden)]);
  await hearMore([witness, ...live], 40);
  await Promise.all(writers.map((writer) => writer.stop()));
  await settle([witness, ...live]);

  const added = await findEvent('AddToChat', chatId);
  const log = (await readLog(chatId)).filter(({ id, kind }) => id >= added && kind !== 'MessageEdited');
  const { rows } = await server.sql.query(
    `select e.id from events e join members m on m.chat_id = e.chat_id and m.user_id = $2
    where e.chat_id = $1 and e.id > $3 and e.seq < m.visible_from_seq and e.kind = 'NewMessage'`,
    [keyOf(chatId), keyOf(grace.userId), String(added)],
  );
  // A message that was committed after the statement read the chat, but before the membership was committed, is not
  // part of the member's history.
  const unseen = new Set(rows.map(({ id }) => BigInt(id)));
  for (const reader of live) {
    expect(toldOf(reader, chatId)).toEqual(log.filter(({ id }) => !unseen.has(id)));
    expect(reader.faults).toEqual([]);
  }
});

test('a user who left the chat and rejoined it while offline receives no events from the time in between', async () => {
  const chatId = await createGroup(ada, [grace, linus]);
  const reader = await new Reader(otherNode, grace).live();
  const [witness] = await startReaders(linus);
  if (witness === undefined) throw new Error('no one reads');
  const writers = startWriters([chatId]);
  await hearMore([reader, witness], 20);
  reader.close();
  await hearMore([witness], 20);
  await removeMember(server, chatId, grace);
  await hearMore([witness], 40);
  await addMembers(server, chatId, [grace], 1);
  await hearMore([witness], 20);
  const late = await new Reader(server, grace, { cursor: reader.cursor }).live();
  await Promise.all(writers.map((writer) => writer.stop()));
  await settle([late]);

  const removal = await findEvent('RemoveFromChat', chatId);
  const added = await findEvent('AddToChat', chatId);
  const log = await readLog(chatId);
  expect(toldOf(late, chatId)).toEqual(log.filter(({ id }) => id === removal || id >= added));
  expect(late.faults).toEqual([]);
  await insertMessage(server, chatId, ada, 'and then');
  await late.until(() => late.heardIn(chatId).at(-1)?.content === 'and then');
});
