import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { keyOf } from '../support/chat.ts';
import type { Person } from '../support/client.ts';
import { startConversation } from '../support/conversation.ts';
import { createDatabase } from '../support/database.ts';
import { openProxy } from '../support/proxy.ts';
import { startServer } from '../support/server.ts';
import {
  eventOf,
  eventsDocument,
  followEvents,
  matching,
  openStream,
  type EventStream,
  type Frame,
} from '../support/stream.ts';

/** The time within which all streams must be live again after connections have become silent. */
const patienceMs = 15_000;

const document = `subscription { events { cursor event {
  __typename ... on Typing { userId } ... on NewMessage { message { content } } ... on PresenceChanged { userId }
} } }`;

async function send(ada: Person, chatId: string, content: string): Promise<{ seq: number | null; ms: number }> {
  const before = performance.now();
  const { data } = await ada.post(
    `mutation ($chatId: ID!, $content: String!) {
      sendMessage(input: { chatId: $chatId, content: $content }) { ... on Message { seq } }
    }`,
    { chatId, content },
  );
  return { seq: data?.sendMessage?.seq ?? null, ms: performance.now() - before };
}

/** Returns the median time of five messages from their sender to the stream, in ms. */
async function latency({ ada, chatId }: { ada: Person; chatId: string }, stream: EventStream): Promise<number> {
  const times: number[] = [];
  for (let round = 0; round < 5; round += 1) {
    const content = `round ${Math.random()}`;
    const before = performance.now();
    await send(ada, chatId, content);
    await stream.next(matching({ message: { content } }));
    times.push(performance.now() - before);
    // Each message is sent at a different point in the polling interval.
    await sleep(230);
  }
  return times.toSorted((one, other) => one - other)[2] ?? 0;
}

test('when the LISTEN connection alone goes silent, typing and fast delivery are back within 15 seconds', async () => {
  await using database = await createDatabase();
  const proxy = await openProxy(database.url);
  await using node = await startServer({ database, env: { DATABASE_DIRECT_URL: proxy.through(database.url) } });
  const { ada, grace, chatId } = await startConversation(node);
  await using stream = await followEvents(node, grace, { document });
  const startTyping = () => ada.ask('mutation ($chatId: ID!) { startTyping(chatId: $chatId) }', { chatId });
  await startTyping();
  await stream.next('Typing');
  expect(await latency({ ada, chatId }, stream)).toBeLessThan(500);

  expect(proxy.silence()).toBe(1);
  const silentAt = performance.now();
  const before = stream.frames.length;
  const hasTyped = () => stream.frames.slice(before).some((frame) => eventOf(frame)?.__typename === 'Typing');
  while (!hasTyped() && performance.now() - silentAt < patienceMs) {
    await startTyping();
    await sleep(500);
  }
  expect(hasTyped()).toBe(true);
  expect(await latency({ ada, chatId }, stream)).toBeLessThan(500);
  expect(node.log.filter(({ level }) => level === 'warn').map(({ msg }) => msg)).toContain(
    'LISTEN connection lost; falling back to polling',
  );
});

test('when all open connections go silent, events are live again within 15 seconds, each once and in order', async () => {
  await using database = await createDatabase();
  const proxy = await openProxy(database.url);
  await using node = await startServer({ database: { ...database, url: proxy.through(database.url) } });
  const { ada, grace, chatId } = await startConversation(node);
  await using stream = await followEvents(node, grace, { document });
  await send(ada, chatId, 'before');
  await stream.next('NewMessage');

  expect(proxy.silence()).toBeGreaterThan(1);
  const silentAt = performance.now();
  // The message is written over another connection, so that only its delivery depends on the silent connections.
  await database.sql.query(
    `insert into messages (chat_id, seq, sender_id, content)
    select id, last_seq + 1, $2, 'said in silence' from chats where id = $1`,
    [keyOf(chatId), keyOf(ada.userId)],
  );
  const sends = [];
  /**
   * Times in ms after the silence began: when the message was last seen to be missing (`silent`), and when the node
   * last reported itself ready while the message was missing (`ready`).
   */
  const last = { ready: 0, silent: 0 };
  const isLive = () => stream.frames.some(matching({ message: { content: 'said in silence' } }));
  while (performance.now() - silentAt < 20_000) {
    sends.push(send(ada, chatId, `after ${sends.length}`));
    const { status } = await fetch(`${node.url}/readyz`);
    if (!isLive()) last.silent = performance.now() - silentAt;
    if (!isLive() && status === 200) last.ready = last.silent;
    await sleep(1_000);
  }
  expect(last.silent).toBeLessThan(patienceMs);
  expect(last.ready).toBeLessThan(patienceMs);
  const outcomes = await Promise.all(sends);
  expect(Math.max(...outcomes.map(({ ms }) => ms))).toBeLessThan(patienceMs);
  await send(ada, chatId, 'the last one');
  await stream.next(matching({ message: { content: 'the last one' } }));
  const { rows } = await database.sql.query<{ content: string }>(
    'select content from messages where chat_id = $1 order by seq',
    [keyOf(chatId)],
  );
  const received = stream.frames.flatMap((frame) => eventOf(frame)?.message?.content ?? []);
  expect(received).toEqual(rows.map(({ content }) => content));
  // No acknowledged message is missing.
  expect(rows.length).toBeGreaterThanOrEqual(outcomes.filter(({ seq }) => seq !== null).length + 3);
});

test('silent connections are dropped: events are live again, and no one receives CaughtUp before they are', async () => {
  await using database = await createDatabase();
  const proxy = await openProxy(database.url);
  await using writing = await startServer({ database });
  await using reading = await startServer({
    database: { ...database, url: proxy.through(database.url) },
    overrides: { streamTimes: { cursorRefresh: 200, sweep: 50 } },
  });
  const { ada, grace, chatId } = await startConversation(writing);
  await using live = await followEvents(reading, grace);
  const { cursor } = live;

  expect(proxy.silence({ all: true })).toBeGreaterThan(0);
  await send(ada, chatId, 'said in silence');
  const reasons = async () => ((await (await fetch(`${reading.url}/readyz`)).json()) as { reasons?: object }).reasons;
  await expect
    .poll(reasons, { timeout: 15_000 })
    .toEqual({ 'event feed': expect.stringMatching(/^the log was last read ([7-9]|\d\d+) s ago$/) });
  // By now, any CaughtUp that was sent before the node noticed the silence has arrived.
  const told = live.frames.length;

  proxy.speak();
  await using late = await openStream(reading, grace, eventsDocument, { variables: { after: cursor } });
  const silent = (await late.until('CaughtUp')).map((frame) => eventOf(frame).message?.content);
  expect(silent).toContain('said in silence');
  await live.next(matching({ message: { content: 'said in silence' } }));
  expect(eventOf(live.frames[told] as Frame)).toMatchObject({ message: { content: 'said in silence' } });
  await send(ada, chatId, 'said after it');
  await live.next(matching({ message: { content: 'said after it' } }));
  await expect.poll(async () => (await fetch(`${reading.url}/readyz`)).status, { timeout: 15_000 }).toBe(200);
});
