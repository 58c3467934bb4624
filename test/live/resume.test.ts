import { beforeAll, expect, test } from 'vitest';
import { formatCursor, parseCursor } from '../../src/log/cursor.ts';
import {
  addMembers,
  createGroup,
  createPublicChannel,
  insertMessage,
  keyOf,
  removeMember,
  say,
} from '../support/chat.ts';
import { type Data, type Person, signUp, signUpAll } from '../support/client.ts';
import { deleteMessage, editMessage } from '../support/message.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { sharedServer } from '../support/shared-server.ts';
import {
  chatEventsDocument,
  envelopeOf,
  eventOf,
  eventsDocument,
  followChat,
  followEvents,
  matching,
  openStream,
  readMissed,
  type Frame,
} from '../support/stream.ts';

let server: TestServer;
let ada: Person;
let grace: Person;
let linus: Person;
beforeAll(async () => {
  server = await sharedServer();
  [ada, grace, linus] = await signUpAll(server, 'ada', 'grace', 'linus');
});

const cursorNow = async (person: Person): Promise<string> =>
  (await person.ask('{ viewer { eventCursor } }')).viewer.eventCursor;
const contentsOf = (frames: Frame[]) =>
  frames.flatMap((frame) => (eventOf(frame).message === undefined ? [] : [eventOf(frame).message.content]));
const upTo = (last: number) => Array.from({ length: last }, (_, index) => index + 1);

/** Returns a cursor for the same position in another history, or for another position in this history. */
function moveCursor(cursor: string, { epoch, by = 0n }: { epoch?: string; by?: bigint }): string {
  const parsed = parseCursor(cursor);
  if (parsed === null) throw new Error(`${cursor} is not a cursor`);
  return formatCursor({ epoch: epoch ?? parsed.epoch, id: parsed.id + by });
}

test('a stream begins with its position', async () => {
  const cursor = await cursorNow(ada);
  await using stream = await openStream(server, ada, eventsDocument);
  const first = await stream.next();
  expect(eventOf(first)).toEqual({ __typename: 'CaughtUp', replayed: 0 });
  expect(first.id).toBe(cursor);
  expect(envelopeOf(first).cursor).toBe(cursor);
});

test('a client that reconnects receives what it missed, then its position, then live events', async () => {
  const chat = await createGroup(ada, [grace]);
  const stream = await followEvents(server, grace);
  await say(ada, chat, 'heard');
  await stream.next('NewMessage');
  const { cursor } = stream;
  await stream.close();

  await say(ada, chat, 'missed');
  await createGroup(ada, [linus], 'not hers');
  const another = await createGroup(ada, [grace], 'made in the meantime');
  await say(ada, another, 'missed too');
  await using again = await openStream(server, grace, eventsDocument, { variables: { after: cursor } });
  const missed = await again.until('CaughtUp');
  expect(missed.map(eventOf)).toMatchObject([
    { __typename: 'NewMessage', message: { content: 'missed' } },
    { __typename: 'NewChat', chat: { id: another } },
    { __typename: 'NewMessage', message: { content: 'missed too' } },
    { __typename: 'CaughtUp', replayed: 3 },
  ]);
  await say(ada, chat, 'heard again');
  expect(eventOf(await again.next())).toMatchObject({ message: { content: 'heard again' } });
});

test('resuming from any cursor delivers exactly what came after it', async () => {
  const chat = await createGroup(ada, [grace]);
  await using stream = await followEvents(server, grace);
  for (const index of upTo(5)) await say(ada, chat, `message ${index}`);
  const heard = await stream.until(matching({ message: { content: 'message 5' } }));
  for (const [index, { id }] of heard.entries()) {
    expect((await readMissed(server, grace, id)).slice(0, -1)).toEqual(heard.slice(index + 1));
  }
});

test('a client catches up after a long absence', async () => {
  const chat = await createGroup(ada, [grace]);
  const cursor = await cursorNow(grace);
  await server.sql.query(
    `insert into messages (chat_id, sender_id, content) select $1, $2, 'message ' || n from generate_series(1, 1500) n`,
    [keyOf(chat), keyOf(ada.userId)],
  );
  const missed = await readMissed(server, grace, cursor);
  expect(missed.slice(0, -1).map((frame) => eventOf(frame).message.seq)).toEqual(upTo(1_500));
  expect(eventOf(missed.at(-1) as Frame)).toEqual({ __typename: 'CaughtUp', replayed: 1_500 });
  expect(new Set(missed.map(({ id }) => id)).size).toBe(1_500);
});

test('a stream of one chat resumes in the same way', async () => {
  const [chat, another] = await Promise.all([createGroup(ada, [grace]), createGroup(ada, [grace])]);
  const stream = await followChat(server, grace, chat);
  const { cursor } = stream;
  await stream.close();
  await say(ada, another, 'elsewhere');
  await say(ada, chat, 'missed');
  const document = chatEventsDocument;
  const missed = await readMissed(server, grace, cursor, { document, variables: { chatId: chat } });
  expect(missed.map(eventOf)).toMatchObject([
    { message: { content: 'missed' } },
    { __typename: 'CaughtUp', replayed: 1 },
  ]);
});

test('a reader who is not a member can resume a stream of a public channel', async () => {
  const channel = await createPublicChannel(ada);
  const stream = await followChat(server, linus, channel);
  const { cursor } = stream;
  await stream.close();
  await say(ada, channel, 'missed');
  const missed = await readMissed(server, linus, cursor, {
    document: chatEventsDocument,
    variables: { chatId: channel },
  });
  expect(contentsOf(missed)).toEqual(['missed']);
});

test('the Last-Event-ID of a reconnecting EventSource takes precedence over `after`', async () => {
  const chat = await createGroup(ada, [grace]);
  const first = await cursorNow(grace);
  await say(ada, chat, 'seen');
  const second = await cursorNow(grace);
  await say(ada, chat, 'missed');
  expect(contentsOf(await readMissed(server, grace, first))).toEqual(['seen', 'missed']);
  const missed = await readMissed(server, grace, first, { headers: { 'last-event-id': second } });
  expect(contentsOf(missed)).toEqual(['missed']);
});

test('a user who was removed while away receives the removal, and nothing of the chat from before or after it', async () => {
  const chat = await createGroup(ada, [grace, linus]);
  const cursor = await cursorNow(linus);
  await say(ada, chat, 'before');
  await removeMember(server, chat, linus);
  await say(ada, chat, 'after');
  expect((await readMissed(server, linus, cursor)).map(eventOf)).toMatchObject([
    { __typename: 'RemoveFromChat', chatId: chat, userId: linus.userId },
    { __typename: 'CaughtUp', replayed: 1 },
  ]);
  expect(contentsOf(await readMissed(server, grace, cursor))).toEqual(['before', 'after']);
});

test('a user who was added while away receives the addition, and what came after it', async () => {
  const chat = await createGroup(ada, [grace]);
  const cursor = await cursorNow(linus);
  await say(ada, chat, 'before');
  await addMembers(server, chat, [linus]);
  await say(ada, chat, 'after');
  expect((await readMissed(server, linus, cursor)).map(eventOf)).toMatchObject([
    { __typename: 'AddToChat', chat: { id: chat }, members: [{ user: { username: 'linus' } }] },
    { __typename: 'NewMessage', message: { content: 'after' } },
    { __typename: 'CaughtUp', replayed: 2 },
  ]);
});

test('a chat that was deleted in the meantime appears only as its deletion', async () => {
  const chat = await createGroup(ada, [grace]);
  const cursor = await cursorNow(grace);
  await say(ada, chat, 'gone with it');
  await server.sql.query('delete from chats where id = $1', [keyOf(chat)]);
  expect((await readMissed(server, grace, cursor)).map(eventOf)).toMatchObject([
    { __typename: 'ChatDeleted', chatId: chat },
    { __typename: 'CaughtUp', replayed: 1 },
  ]);
});

test('objects that were deleted in the meantime do not appear again', async () => {
  const chat = await createGroup(ada, [grace]);
  const cursor = await cursorNow(grace);
  const id = await say(ada, chat, 'better unsaid');
  await server.sql.query('delete from messages where id = $1', [keyOf(id)]);
  expect((await readMissed(server, grace, cursor)).map(eventOf)).toMatchObject([
    { __typename: 'NewMessage', message: { id, content: null } },
    { __typename: 'MessageDeleted', message: { id, content: null } },
    { __typename: 'CaughtUp' },
  ]);
});

test('what a message said is not replayed after its edit or deletion, which no one in the chat was there to receive', async () => {
  const chat = await createGroup(ada, [grace]);
  // This stream keeps its document and the document's recent renderings in the server's memory.
  await using stream = await followEvents(server, linus);
  for (const change of [editMessage, deleteMessage]) {
    const cursor = await cursorNow(grace);
    const id = await say(ada, chat, 'better unsaid');
    expect(contentsOf(await readMissed(server, grace, cursor))).toEqual(['better unsaid']);
    await change(ada, id, 'well said');
    const content = change === editMessage ? 'well said' : null;
    expect(contentsOf(await readMissed(server, grace, cursor))).toEqual([content, content]);
  }
  expect(stream.end).toBeNull();
});

/**
 * Opens a stream whose missed events cannot be replayed, and returns its first two frames: a Reset, and a CaughtUp at
 * the same position. Also returns the next message, which shows that the stream continues.
 */
async function expectReset(after: string, chat: string) {
  await using stream = await openStream(server, grace, eventsDocument, { variables: { after } });
  const [reset, caughtUp] = await stream.until('CaughtUp');
  await say(ada, chat, 'goes on');
  const { message } = eventOf(await stream.next());
  return { reset, caughtUp, message };
}

test('a cursor from another history, or from the future of this one, gets Reset', async () => {
  const chat = await createGroup(ada, [grace]);
  const cursor = await cursorNow(grace);
  const strangers = [
    moveCursor(cursor, { epoch: '000000000000' }),
    moveCursor(cursor, { by: 1_000_000n }),
    `${cursor.split('.')[0]}.9999999999999999999`,
  ];
  for (const after of strangers) {
    const now = await cursorNow(grace);
    const { reset, caughtUp, message } = await expectReset(after, chat);
    expect(reset).toMatchObject({ id: now, data: { data: { events: { event: { __typename: 'Reset' } } } } });
    expect(caughtUp).toMatchObject({ id: now, data: { data: { events: { event: { replayed: 0 } } } } });
    expect(message).toMatchObject({ content: 'goes on' });
  }
});

test('a cursor from before the oldest event of the log gets Reset, and a later one gets the events since', async () => {
  await using pruned = await startServer();
  const [hedy, alan] = await Promise.all([signUp(pruned, 'hedy'), signUp(pruned, 'alan')]);
  const chat = await createGroup(hedy, [alan]);
  const lost = await cursorNow(alan);
  await say(hedy, chat, 'lost');
  const kept = await cursorNow(alan);
  await say(hedy, chat, 'kept');
  const through = kept.split('.')[1];
  await pruned.sql.query('update event_log set pruned_through = $1', [through]);
  await pruned.sql.query('delete from events where id <= $1', [through]);

  const reset = await readMissed(pruned, alan, lost);
  expect(reset.map(eventOf)).toMatchObject([{ __typename: 'Reset' }, { __typename: 'CaughtUp', replayed: 0 }]);
  expect(reset[0]?.id).toBe(await cursorNow(alan));
  expect(contentsOf(await readMissed(pruned, alan, kept))).toEqual(['kept']);

  await pruned.sql.query('update event_log set pruned_through = (select max(id) from events)');
  await pruned.sql.query('delete from events');
  const end = await cursorNow(alan);
  expect((await readMissed(pruned, alan, end)).map(eventOf)).toMatchObject([{ __typename: 'CaughtUp', replayed: 0 }]);
  expect((await readMissed(pruned, alan, kept)).map(eventOf)).toMatchObject([{ __typename: 'Reset' }, {}]);
});

test('an invalid cursor is answered with BAD_REQUEST, and ends the stream for good', async () => {
  const cursor = await cursorNow(grace);
  const wrong = [
    '',
    'nonsense',
    '1',
    `${cursor}1.1`,
    cursor.toUpperCase() + 'X',
    `${cursor.split('.')[0]}.-1`,
    'x'.repeat(9_999),
  ];
  for (const after of [...wrong, `${cursor.split('.')[0]}.01`]) {
    await using stream = await openStream(server, grace, eventsDocument, { variables: { after } });
    expect(await stream.ended()).toMatchObject([
      { event: 'next', data: { errors: [{ extensions: { code: 'BAD_REQUEST' } }] } },
      { event: 'complete', data: null },
    ]);
  }
  await using stream = await openStream(server, grace, eventsDocument, { headers: { 'last-event-id': 'nonsense' } });
  expect(await stream.ended()).toMatchObject([{ data: { errors: [{ extensions: { code: 'BAD_REQUEST' } }] } }, {}]);
});

test('a page read with its cursor, and the events since, leave nothing out while others write', async () => {
  const chat = await createGroup(ada, [grace]);
  const query = `query ($id: ID!) {
    chat(id: $id) { messages(last: 100) { edges { node { seq } } } }
    viewer { eventCursor }
  }`;
  const total = 60;
  const writing = (async () => {
    for (let index = 0; index < total; index += 4) {
      await Promise.all(upTo(4).map((lane) => insertMessage(server, chat, ada, `message ${index + lane}`)));
    }
  })();
  // Readers connect while messages are being written. In the end, each reader must have received all messages.
  const readers = upTo(15).map(async () => {
    const { chat: page, viewer } = await grace.ask(query, { id: chat });
    const shown: number[] = page.messages.edges.map(({ node }: Data) => node.seq);
    await using stream = await openStream(server, grace, eventsDocument, { variables: { after: viewer.eventCursor } });
    const frames = shown.includes(total) ? [] : await stream.until((frame) => eventOf(frame)?.message?.seq === total);
    const told: number[] = frames.flatMap((frame) => eventOf(frame).message?.seq ?? []);
    return { all: new Set([...shown, ...told]), told };
  });
  await writing;
  for (const { all, told } of await Promise.all(readers)) {
    expect([...all].toSorted((one, other) => one - other)).toEqual(upTo(total));
    expect(told).toEqual(told.toSorted((one, other) => one - other));
    expect(new Set(told).size).toBe(told.length);
  }
});

test('a client that connects while others write misses nothing between the start of its stream and the live events', async () => {
  const chat = await createGroup(ada, [grace]);
  const people = await Promise.all(upTo(8).map((index) => signUp(server, `reader-${index}`)));
  await addMembers(server, chat, people);
  const reading = new AbortController();
  const write = async (lane: number) => {
    for (let index = 0; !reading.signal.aborted; index += 1) {
      await insertMessage(server, chat, ada, `lane ${lane}, message ${index}`);
    }
  };
  const writing = [1, 2, 3].map(write);
  await using afterwards = new AsyncDisposableStack();
  afterwards.defer(async () => {
    reading.abort();
    await Promise.all(writing);
  });
  // In each round, the user is new to this node, because only an open stream makes the node load the user's
  // memberships.
  for (const round of upTo(4)) {
    await Promise.all(
      people.map(async (person) => {
        await using stream = await openStream(server, person, eventsDocument);
        const begin = await stream.next('CaughtUp');
        const frames = await stream.until((frame) => stream.frames.indexOf(frame) === 12 * round);
        const { rows } = await server.sql.query(
          `select seq from events where kind = 'NewMessage' and id > $1 and id <= $2 order by id`,
          [begin.id?.split('.')[1], frames.at(-1)?.id?.split('.')[1]],
        );
        expect(frames.map((frame) => eventOf(frame).message.seq)).toEqual(rows.map(({ seq }) => seq));
      }),
    );
  }
});
