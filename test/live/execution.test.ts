import { defaultFieldResolver, GraphQLObjectType, type GraphQLFieldResolver } from 'graphql';
import { beforeAll, beforeEach, expect, test } from 'vitest';
import { schema } from '../../src/edges.ts';
import { addMembers, createChat, createGroup, insertMessage, keyOf, say } from '../support/chat.ts';
import { signIn, signUp, type Person } from '../support/client.ts';
import { upload } from '../support/file.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { updateChat } from '../support/membership.ts';
import { envelopeOf, eventOf, EventStream, followEvents, matching, openStream } from '../support/stream.ts';
import { atFileEnd } from '../support/file-end.ts';
import { setRoleWithSql } from '../support/staff.ts';
import { createWebhook, webhookEnv, WebhookReceiver, webhookTimes } from '../support/webhook.ts';

let server: TestServer;
let people: Person[];
let ada: Person;
let grace: Person;
let linus: Person;
let chatId: string;
beforeAll(async () => {
  const env = { MAX_STREAMS_PER_SESSION: '0', ...webhookEnv };
  server = await startServer({ env, overrides: { webhookTimes } });
  people = await Promise.all(['ada', 'grace', 'linus', 'margaret', 'alan'].map((name) => signUp(server, name)));
  [ada, grace, linus] = people as [Person, Person, Person];
  chatId = await createGroup(ada, people.slice(1));
});

/**
 * How many times the envelope of each event was resolved, by the cursor of the event. Each execution resolves the
 * envelope once.
 */
const executions = new Map<string, number>();
/** A field with the alias `slow` waits for this promise. */
let pause: Promise<void> = Promise.resolve();

atFileEnd(
  replaceResolver('EventEnvelope', 'cursor', (original) => (source, args, context, info) => {
    executions.set(source.cursor, (executions.get(source.cursor) ?? 0) + 1);
    return original(source, args, context, info);
  }),
);
atFileEnd(
  replaceResolver('Message', 'content', (original) => async (source, args, context, info) => {
    if (info.path.key === 'broken') throw new Error('it broke at postgres://a:b@c/d');
    if (info.path.key === 'slow') await pause;
    return original(source, args, context, info);
  }),
);
beforeEach(() => executions.clear());

type Resolver = GraphQLFieldResolver<{ cursor: string }, unknown>;

/**
 * Wraps a field of the schema that the servers in this process share. The returned function restores the original
 * field.
 */
function replaceResolver(typeName: string, fieldName: string, wrap: (original: Resolver) => Resolver): () => void {
  const type = schema.getType(typeName);
  const field = type instanceof GraphQLObjectType ? type.getFields()[fieldName] : undefined;
  if (field === undefined) throw new Error(`no ${typeName}.${fieldName}`);
  const original = field.resolve ?? defaultFieldResolver;
  field.resolve = wrap(original);
  return () => void (field.resolve = original);
}

const asking = (selection: string) =>
  `subscription ($after: String) { events(after: $after) { cursor event { __typename ... on NewMessage { message { id ${selection} } } } } }`;
const plain = asking('content sender { username }');
const personal = asking('content chat { viewerMembership { user { username } } }');

const follow = (each: Person[], document: string): Promise<EventStream[]> =>
  Promise.all(each.map((person) => followEvents(server, person, { document })));
const closeAll = (streams: EventStream[]) => Promise.all(streams.map((stream) => stream.close()));
const tenTimes = (each: Person[]) => Array.from({ length: 10 }, () => each).flat();

/** Sends a message, and waits until it has arrived on all of these streams. */
async function hear(streams: EventStream[], content: string) {
  await insertMessage(server, chatId, ada, content);
  return Promise.all(streams.map((stream) => stream.next('NewMessage')));
}

test('an event is executed once for everyone with the same document', async () => {
  const streams = await follow(tenTimes(people), plain);
  const frames = await hear(streams, 'to fifty');
  for (const frame of frames) expect(eventOf(frame).message).toMatchObject({ content: 'to fifty' });
  expect(executions.get(frames[0]?.id ?? '')).toBe(1);
  await closeAll(streams);
});

test('streams share an execution whatever cursor they began with, and however they sent it', async () => {
  const { eventCursor } = (await ada.ask('{ viewer { eventCursor } }')).viewer;
  await hear([], 'one');
  const later = (await ada.ask('{ viewer { eventCursor } }')).viewer.eventCursor;
  const inDocument = plain.replace('(after: $after)', `(after: "${eventCursor}")`).replace('($after: String) ', '');
  const streams = [
    await followEvents(server, ada, { document: plain, variables: { after: eventCursor } }),
    await followEvents(server, grace, { document: plain, variables: { after: later, other: 'unused' } }),
    await followEvents(server, linus, { document: plain }),
    await followEvents(server, ada, { document: inDocument }),
    await followEvents(server, grace, { document: plain, headers: { 'last-event-id': later } }),
  ];
  executions.clear();
  const frames = await hear(streams, 'two');
  expect(executions.get(frames[0]?.id ?? '')).toBe(1);
  await closeAll(streams);
});

test('a field that depends on the viewer is executed once for each viewer', async () => {
  const streams = await follow(tenTimes([ada, grace, linus]), personal);
  const frames = await hear(streams, 'to each');
  for (const [index, frame] of frames.entries()) {
    expect(eventOf(frame).message.chat.viewerMembership.user.username).toBe(['ada', 'grace', 'linus'][index % 3]);
  }
  expect(executions.get(frames[0]?.id ?? '')).toBe(3);
  await closeAll(streams);
});

test('the peer and the newest message of a chat are executed once, except where they depend on the viewer', async () => {
  const document = asking(
    'content chat { lastMessage { content } lastActivityAt peer { username } } sender { username }',
  );
  const streams = await follow(people, document);
  const frames = await hear(streams, 'the same for all');
  for (const frame of frames) {
    expect(eventOf(frame).message.chat).toMatchObject({ lastMessage: { content: 'the same for all' }, peer: null });
  }
  expect(executions.get(frames[0]?.id ?? '')).toBe(1);

  // A member who can see only the newest message still receives everything that the event shows.
  const { rows } = await server.sql.query('select last_seq from chats where id = $1', [keyOf(chatId)]);
  const latecomer = await signUp(server, 'latecomer');
  await addMembers(server, chatId, [latecomer], rows[0].last_seq + 1);
  const shared = await hear(streams, 'the latecomer sees this');
  expect(executions.get(shared[0]?.id ?? '')).toBe(1);

  // While a member cannot see any message yet, the field is executed separately for each viewer. In a single chat, it
  // is executed for each of the two users.
  await addMembers(server, chatId, [await signUp(server, 'newest')], rows[0].last_seq + 3);
  await updateChat(ada, chatId, { name: 'renamed' });
  const chatEvent =
    'subscription { events { cursor event { __typename ... on ChatUpdated { chat { id lastMessage { content } } } } } }';
  const renames = await follow(people.slice(0, 3), chatEvent);
  await updateChat(ada, chatId, { name: 'renamed again' });
  const updates = await Promise.all(renames.map((stream) => stream.next('ChatUpdated')));
  // The other document has the same result for everyone.
  expect(executions.get(updates[0]?.id ?? '')).toBe(3 + 1);
  await closeAll(renames);
  const { id: single } = await createChat(ada, { type: 'SINGLE', memberIds: [grace.userId] });
  await say(ada, single, 'between us');
  const inSingle = await Promise.all(
    streams.slice(0, 2).map((stream) => stream.next(matching({ message: { content: 'between us' } }))),
  );
  expect(inSingle.map((frame) => eventOf(frame).message.chat.peer.username)).toEqual(['grace', 'ada']);
  expect(executions.get(inSingle[0]?.id ?? '')).toBe(2);
  await closeAll(streams);
});

test('a field that depends only on the user is executed once for all their devices, and a file link once per device', async () => {
  const devices = [grace, await signIn(server, grace), ada];
  const { id } = await upload(server, ada, 'a file');
  const streams = await follow([...devices, ...devices], personal);
  const linked = await follow([...devices, ...devices], asking('files { url }'));
  await say(ada, chatId, 'with a file', { fileIds: [id] });
  const [frame] = await Promise.all(streams.map((stream) => stream.next('NewMessage')));
  await Promise.all(linked.map((stream) => stream.next('NewMessage')));
  expect(executions.get(frame?.id ?? '')).toBe(2 + 3);
  await closeAll([...streams, ...linked]);
});

test('a result with errors is shared in the same way', async () => {
  const broken = asking('id broken: content');
  const brokenAndPersonal = asking('broken: content chat { viewerMembership { user { username } } }');
  const shared = await follow(tenTimes([ada, grace]), broken);
  const told = await hear(shared, 'it breaks');
  const error = { message: 'Internal server error.', extensions: { code: 'INTERNAL' } };
  for (const stream of shared) {
    const frame = stream.frames.at(-1);
    expect(eventOf(frame as never).message).toMatchObject({ broken: null });
    expect(frame?.data.errors).toMatchObject([{ ...error, path: ['events', 'event', 'message', 'broken'] }]);
    expect(stream.text).not.toContain('postgres://');
  }
  expect(executions.get(told[0]?.id ?? '')).toBe(1);
  await closeAll(shared);
  expect(server.log.filter(({ msg }) => msg === 'a field of an event failed')).toHaveLength(1);

  executions.clear();
  const own = await follow([ada, grace, ada], brokenAndPersonal);
  const frames = await hear(own, 'it breaks for each');
  expect(frames.map((frame) => eventOf(frame).message.chat.viewerMembership.user.username)).toEqual([
    'ada',
    'grace',
    'ada',
  ]);
  for (const frame of frames) expect(frame.data.errors).toMatchObject([error]);
  expect(executions.get(frames[0]?.id ?? '')).toBe(2);
  await closeAll(own);
});

test('a slow document does not delay users of other documents', async () => {
  const gate = Promise.withResolvers<void>();
  pause = gate.promise;
  await using slow = await followEvents(server, ada, { document: asking('slow: content') });
  const others = await follow([ada, grace], plain);
  for (const content of ['one', 'two', 'three']) await hear(others, content);
  const barred = await openStream(server, grace, asking('slow: content'));
  await barred.next('CaughtUp');
  expect(slow.frames.filter((frame) => eventOf(frame).__typename === 'NewMessage')).toEqual([]);
  gate.resolve();
  const frames = await slow.until(matching({ message: { slow: 'three' } }));
  expect(frames.map((frame) => eventOf(frame).message.slow)).toEqual(['one', 'two', 'three']);
  // Users who connected in the meantime receive no earlier events.
  await hear([...others, barred], 'four');
  expect(eventOf(barred.frames.at(-1) as never).message.slow).toBe('four');
  expect(barred.frames).toHaveLength(2);
  await closeAll([...others, barred]);
});

test('when everyone reconnects to a new server, each with another cursor, an event is executed about once', async () => {
  const cursors: string[] = [];
  await using witness = await followEvents(server, ada, { document: plain });
  for (let turn = 0; turn < 60; turn += 1) {
    await insertMessage(server, chatId, ada, `while away ${turn}`);
    cursors.push((await witness.next('NewMessage')).id ?? '');
  }
  await using fresh = await startServer({ database: server.database, env: { MAX_STREAMS_PER_SESSION: '0' } });
  executions.clear();
  const streams = await Promise.all(
    Array.from({ length: 30 }, (_, turn) =>
      openStream(fresh, people[turn % 5] as Person, plain, { variables: { after: cursors[turn] } }),
    ),
  );
  const missed = await Promise.all(streams.map((stream) => stream.until('CaughtUp')));
  for (const [turn, frames] of missed.entries()) {
    expect(frames.map(({ id }) => id)).toEqual([...cursors.slice(turn + 1), cursors.at(-1)]);
  }
  // There are 1,335 deliveries of 59 events. The last cursor is left out, because the CaughtUp of each stream has the
  // same cursor.
  const replayed = cursors.slice(1, -1).map((cursor) => executions.get(cursor) ?? 0);
  expect(Math.min(...replayed)).toBe(1);
  expect(replayed.reduce((sum, count) => sum + count, 0)).toBeLessThanOrEqual(1.5 * replayed.length);
  expect(envelopeOf(missed[0]?.at(-1) as never).cursor).toBe(cursors.at(-1));

  // On the fresh node, too, each viewer gets the personal fields that are meant for them, in whatever order they
  // subscribe.
  executions.clear();
  for (const turn of [0, 1, 2, 3]) {
    const person = people[(turn * 3) % 5] as Person;
    await using stream = await openStream(fresh, person, personal, { variables: { after: cursors.at(-3) } });
    const frames = await stream.until('CaughtUp');
    expect(frames.slice(0, -1).map((frame) => eventOf(frame).message.chat.viewerMembership.user.username)).toEqual([
      person.name,
      person.name,
    ]);
  }
  await closeAll(streams);
});

test('a webhook shares the execution of the streams with the same document', async () => {
  await setRoleWithSql(server, ada, 'ADMIN');
  const receiver = await WebhookReceiver.start();
  await createWebhook(ada, receiver.url, { document: plain });
  const streams = await follow([grace, linus], plain);
  await hear(streams, 'first');
  // From now on, the receiver gets events as they happen.
  await receiver.until(({ contents }) => contents.includes('first'));
  const [frame] = await hear(streams, 'for both');
  await receiver.until(({ contents }) => contents.includes('for both'));
  expect(receiver.events.at(-1)?.id).toBe(frame?.id);
  expect(executions.get(frame?.id ?? '')).toBe(1);
  await closeAll(streams);
});

test('all clients of /api/events share an execution', async () => {
  const open = async ({ token }: Person) => {
    const abort = new AbortController();
    const headers = { authorization: `Bearer ${token}` };
    return new EventStream(await fetch(`${server.url}/api/events`, { headers, signal: abort.signal }), abort);
  };
  const streams = await Promise.all([ada, grace, linus, grace].map(open));
  await Promise.all(streams.map((stream) => stream.next(({ event }) => event === 'CaughtUp')));
  await insertMessage(server, chatId, ada, 'by REST');
  const frames = await Promise.all(streams.map((stream) => stream.next(({ event }) => event === 'NewMessage')));
  for (const { data } of frames) expect(data).toMatchObject({ type: 'NewMessage', message: { content: 'by REST' } });
  expect(executions.get(frames[0]?.id ?? '')).toBe(1);
  await closeAll(streams);
});
