import { expect, test } from 'vitest';
import { createGroup, keyOf, say } from '../support/chat.ts';
import { type Person, signUpAll } from '../support/client.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { give, openReserved, reserve } from '../support/single.ts';
import { followEvents, matching, type EventStream } from '../support/stream.ts';

/**
 * Returns a large document. Each name makes a different document, and each document runs for each message. The document
 * selects 100 messages with their reactions.
 */
const largeDocument = (name: string) => `subscription ${name} { events { cursor event { ... on NewMessage { message { id
  chat { messages(last: 100) { edges { cursor node { id seq content kind createdAt editedAt deletedAt clientMessageId
    sender { id username displayName createdAt } reactions { emoji count viewerReacted } } } } } } } } } }`;

async function subscribeToMany(server: TestServer, by: Person, count: number): Promise<EventStream> {
  const token = await reserve(server, by);
  const stream = await openReserved(server, by, token);
  const ids = Array.from({ length: count }, (_, index) => String(index));
  const given = await Promise.all(
    ids.map((id) => give(server, by, token, { id, query: largeDocument(`Number${id}`) })),
  );
  expect(new Set(given.map(({ status }) => status))).toEqual(new Set([202]));
  await expect.poll(() => new Set(stream.frames.map(({ data }) => data?.id)).size, { timeout: 5_000 }).toBe(count);
  return stream;
}

/** Returns the time in ms that a message takes to be sent and to arrive. */
async function timeMessage(by: Person, chatId: string, content: string, reader: EventStream) {
  const startedAt = performance.now();
  await say(by, chatId, content);
  const sentMs = performance.now() - startedAt;
  await reader.next(matching({ message: { content } }));
  return { sentMs, arrivedMs: performance.now() - startedAt };
}

const isEvent = ({ data }: { data: { payload?: { data?: { events?: { event?: { message?: unknown } } } } } | null }) =>
  data?.payload?.data?.events?.event?.message !== undefined;

test('hundreds of large subscriptions of one person delay neither the messages nor the events of others', async () => {
  await using server = await startServer({ env: { MAX_SUBSCRIPTION_COMPLEXITY: '0' } });
  const [ada, grace, linus, alan] = await signUpAll(server, 'ada', 'grace', 'linus', 'alan');
  const [own, others] = [await createGroup(ada, [grace]), await createGroup(linus, [alan])];
  await server.sql.query(
    `insert into messages (chat_id, seq, sender_id, content)
    select id, last_seq + n, $2, 'a message' from chats, generate_series(1, 100) n where id = $1`,
    [keyOf(own), keyOf(ada.userId)],
  );
  await using stream = await subscribeToMany(server, ada, 100);
  await using reader = await followEvents(server, alan);
  await timeMessage(linus, others, 'before', reader);

  for (let count = 0; count < 5; count += 1) await say(ada, own, `flood ${count}`);
  const times = [];
  for (let count = 0; count < 5; count += 1) times.push(await timeMessage(linus, others, `during ${count}`, reader));
  // The large subscriptions are still waiting for most of their events.
  const arrived = stream.frames.filter(isEvent).length;
  expect(arrived).toBeGreaterThan(0);
  expect(arrived).toBeLessThan(250);
  expect(Math.max(...times.map(({ sentMs }) => sentMs))).toBeLessThan(1_000);
  expect(Math.max(...times.map(({ arrivedMs }) => arrivedMs))).toBeLessThan(1_000);
});
