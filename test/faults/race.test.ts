import { expect, test } from 'vitest';
import { addMembers, createGroup, insertMessage, keyOf } from '../support/chat.ts';
import { signUp } from '../support/client.ts';
import { expectWhole } from '../support/fault.ts';
import { openProxy } from '../support/proxy.ts';
import { Reader } from '../support/reader.ts';
import { startServer } from '../support/server.ts';
import { sharedServer } from '../support/shared-server.ts';
import { eventOf, eventsDocument, followEvents, matching, openStream } from '../support/stream.ts';

const server = await sharedServer();
const ada = await signUp(server, 'ada');
const grace = await signUp(server, 'grace');
const linus = await signUp(server, 'linus');

/** Starts a second node whose connections to the database, except the one for LISTEN, can be delayed. */
async function startDelayedNode() {
  const proxy = await openProxy(server.database.url);
  const env = { DATABASE_URL: proxy.through(server.database.url), DATABASE_DIRECT_URL: server.database.url };
  return { proxy, node: await startServer({ database: server.database, env }) };
}

test('events that happen while a newcomer’s memberships are being read reach that newcomer', async () => {
  const { proxy, node } = await startDelayedNode();
  const chatId = await createGroup(ada, [grace, linus]);
  const witness = await new Reader(node, linus).live();
  const { viewer } = await grace.ask('{ viewer { eventCursor } }');
  const memberships = proxy.hold('snapshot');
  const reader = new Reader(node, grace, { cursor: viewer.eventCursor });
  await memberships.caught;
  await insertMessage(server, chatId, ada, 'in the meantime');
  await witness.until(() => witness.heardCount === 1);
  memberships.release();
  await reader.live();
  await insertMessage(server, chatId, ada, 'and then');
  await expectWhole(server.sql, [chatId], { readers: [reader, witness], writers: [] });
  await node.close();
});

test('a stream that opens after its session has ended, but before the node knows, ends too and shows no later event', async () => {
  const chatId = await createGroup(ada, [grace, linus]);
  const { data } = await server.post(
    `mutation ($input: SignInInput!) { signIn(input: $input) { ... on SignedIn { accessToken } } }`,
    { input: { email: grace.email, password: grace.password } },
  );
  const device = { token: data.signIn.accessToken };
  const open = await new Reader(server, device).live();
  const { viewer } = await server.ask('{ viewer { sessions { id isCurrent } } }', {}, device.token);
  const { id } = viewer.sessions.find(({ isCurrent }: { isCurrent: boolean }) => isCurrent);
  // The session is deleted directly in the database, because a node notices its own mutations immediately.
  await server.sql.query('delete from sessions where id = $1', [keyOf(id)]);
  await open.until(() => open.end !== null);
  const late = new Reader(server, device);
  const lateOnOne = new Reader(server, device, { chatId });
  const witness = await new Reader(server, linus).live();
  await insertMessage(server, chatId, ada, 'not for an ended session');
  await witness.until(() => witness.heardCount === 1);
  for (const reader of [late, lateOnOne]) {
    await reader.until(() => reader.end !== null);
    expect(reader.end).toBe('UNAUTHENTICATED');
    expect(reader.told).toEqual([]);
  }
});

test('a user who follows one chat receives nothing that is hidden from them, not even while the stream opens', async () => {
  const { proxy, node } = await startDelayedNode();
  const chatId = await createGroup(ada, [linus]);
  await insertMessage(server, chatId, ada, 'before grace came');
  await addMembers(server, chatId, [grace], 2);
  const witness = await new Reader(node, linus).live();
  const access = proxy.hold('events_missed_in_chat');
  const follower = new Reader(node, grace, { chatId });
  await access.caught;
  await server.sql.query(`update messages set content = 'still not for grace' where chat_id = $1`, [keyOf(chatId)]);
  await witness.until(() => witness.kinds.includes('MessageEdited'));
  access.release();
  await follower.live();
  await insertMessage(server, chatId, ada, 'for grace too');
  await follower.until(() => follower.heardCount === 1);
  expect(follower.kinds).toEqual(['NewMessage']);
  await node.close();
});

test.each([
  ['are buffered while they are few', 'a', { replayed: 1 }],
  ['are left to the log when they have too many bytes, even if few characters', '語', { replayed: 21 }],
])('events that happen while a reader is busy with the log %s', async (_, character, caughtUp) => {
  const { proxy, node } = await startDelayedNode();
  const chatId = await createGroup(ada, [grace, linus]);
  const { viewer } = await grace.ask('{ viewer { eventCursor } }');
  await insertMessage(server, chatId, ada, 'missed');
  const witness = await followEvents(node, linus);
  const missed = proxy.hold('events_missed');
  const variables = { after: viewer.eventCursor };
  const reader = await openStream(node, grace, eventsDocument, { variables });
  await missed.caught;
  await server.sql.query(
    `insert into messages (chat_id, sender_id, content)
    select $1, $2, repeat($3, 8000) || n from generate_series(1, 20) n`,
    [keyOf(chatId), keyOf(ada.userId), character],
  );
  const isLast = matching({ message: { content: `${character.repeat(8_000)}20` } });
  await witness.next(isLast);
  missed.release();
  const heard = (await reader.until(isLast)).map(eventOf);
  await insertMessage(server, chatId, ada, 'and then');
  heard.push(...(await reader.until(matching({ message: { content: 'and then' } }))).map(eventOf));
  expect(heard.filter(({ __typename }) => __typename === 'CaughtUp')).toMatchObject([caughtUp]);
  expect(heard.filter(({ __typename }) => __typename === 'NewMessage')).toHaveLength(22);
  await Promise.all([reader.close(), witness.close()]);
  await node.close();
});
