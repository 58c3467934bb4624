import { beforeAll, expect, test } from 'vitest';
import { addMembers, createGroup, createPublicChannel, keyOf, say } from '../support/chat.ts';
import { type Person, signUp, signUpAll } from '../support/client.ts';
import type { TestServer } from '../support/server.ts';
import { sharedServer } from '../support/shared-server.ts';
import { recordStatements } from '../support/statements.ts';
import {
  envelopeOf,
  eventOf,
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

/** Selects some fields that differ between viewers, and some fields that are the same for all viewers. */
const personalDocument = `subscription ($after: String) {
  events(after: $after) {
    cursor
    event {
      __typename
      ... on CaughtUp { replayed }
      ... on NewMessage {
        message { content seq chat { viewerMembership { user { username } lastReadSeq unreadCount } } }
      }
    }
  }
}`;
const plainDocument = `subscription ($after: String) {
  events(after: $after) {
    cursor
    event { __typename ... on CaughtUp { replayed } ... on NewMessage { message { content seq sender { username } } } }
  }
}`;

test.each([
  ['the sender is first', 0],
  ['the sender is last', 1],
])('each viewer gets their own personal fields of an event: %s', async (_, turn) => {
  const chat = await createGroup(ada, [grace, linus]);
  await say(ada, chat, 'first');
  const people = turn === 0 ? [ada, grace, linus] : [linus, grace, ada];
  const streams = [];
  for (const person of people) streams.push(await followEvents(server, person, { document: personalDocument }));
  await say(grace, chat, 'second');
  const mine = { ada: [1, 1], grace: [2, 0], linus: [0, 2] };
  for (const [index, stream] of streams.entries()) {
    const { name } = people[index] as Person;
    const [lastReadSeq, unreadCount] = mine[name as keyof typeof mine];
    expect(eventOf(await stream.next('NewMessage'))).toEqual({
      __typename: 'NewMessage',
      message: {
        content: 'second',
        seq: 2,
        chat: { viewerMembership: { user: { username: name }, lastReadSeq, unreadCount } },
      },
    });
    await stream.close();
  }
});

test('each viewer gets their own personal fields in a replay, too', async () => {
  const chat = await createGroup(ada, [grace, linus]);
  const { eventCursor } = (await ada.ask('{ viewer { eventCursor } }')).viewer;
  await say(ada, chat, 'first');
  const seen = await Promise.all(
    [linus, ada, grace].map((person) => readMissed(server, person, eventCursor, { document: personalDocument })),
  );
  const owners = seen.map(([first]) => first && eventOf(first).message.chat.viewerMembership);
  expect(owners).toEqual([
    { user: { username: 'linus' }, lastReadSeq: 0, unreadCount: 1 },
    { user: { username: 'ada' }, lastReadSeq: 1, unreadCount: 0 },
    { user: { username: 'grace' }, lastReadSeq: 0, unreadCount: 1 },
  ]);
});

test('a reader of a public channel who is not a member shares nothing with its members', async () => {
  const channel = await createPublicChannel(ada);
  const document = `subscription ($chatId: ID!) {
    chatEvents(chatId: $chatId) {
      event { __typename ... on NewMessage { message { chat { viewerMembership { user { username } unreadCount } } } } }
    }
  }`;
  await using reader = await followChat(server, linus, channel, { document });
  await using member = await followChat(server, ada, channel, { document });
  await say(ada, channel, 'to all');
  expect(eventOf(await reader.next('NewMessage')).message.chat.viewerMembership).toBeNull();
  expect(eventOf(await member.next('NewMessage')).message.chat.viewerMembership).toEqual({
    user: { username: 'ada' },
    unreadCount: 0,
  });
});

test('an event that is the same for everyone is built once, however many receive it', async () => {
  const people = await Promise.all(Array.from({ length: 20 }, (_, index) => signUp(server, `listener-${index}`)));
  const [small, large] = await Promise.all([createGroup(ada, [people[0] as Person]), createGroup(ada, people)]);
  const streams = await Promise.all(people.map((person) => followEvents(server, person, { document: plainDocument })));
  const cost = (chat: string, listeners: typeof streams, content: string) =>
    recordStatements(server, async () => {
      await say(ada, chat, content);
      await Promise.all(listeners.map((stream) => stream.next(matching({ message: { content } }))));
    });
  const alone = await cost(small, streams.slice(0, 1), 'to one');
  expect(await cost(large, streams, 'to twenty')).toHaveLength(alone.length);
  await Promise.all(streams.map((stream) => stream.close()));
});

test('everyone receives the same bytes', async () => {
  const chat = await createGroup(ada, [grace]);
  await using one = await followEvents(server, ada, { document: plainDocument });
  await using other = await followEvents(server, grace, { document: plainDocument });
  const [before, after] = [one.text.length, other.text.length];
  await say(ada, chat, 'hello');
  await Promise.all([one.next('NewMessage'), other.next('NewMessage')]);
  expect(one.text.slice(before)).toBe(other.text.slice(after));
});

test('the same document with different variables gives different results', async () => {
  const chat = await createGroup(ada, [grace]);
  const document = `subscription ($withSeq: Boolean = true, $count: Int! = 1) {
    events {
      event {
        __typename
        ... on NewMessage {
          message { content seq @include(if: $withSeq) chat { messages(last: $count) { edges { node { seq } } } } }
        }
      }
    }
  }`;
  await say(ada, chat, 'first');
  await using byDefault = await followEvents(server, grace, { document });
  await using without = await followEvents(server, grace, { document, variables: { withSeq: false, count: 2 } });
  // Only the default values differ, but they make it a different document.
  const other = document.replace(
    '$withSeq: Boolean = true, $count: Int! = 1',
    '$withSeq: Boolean = false, $count: Int! = 2',
  );
  await using byOtherDefault = await followEvents(server, grace, { document: other });
  await say(ada, chat, 'second');
  const page = (...seqs: number[]) => ({ messages: { edges: seqs.map((seq) => ({ node: { seq } })) } });
  expect(eventOf(await byDefault.next('NewMessage')).message).toEqual({ content: 'second', seq: 2, chat: page(2) });
  expect(eventOf(await without.next('NewMessage')).message).toEqual({ content: 'second', chat: page(1, 2) });
  expect(eventOf(await byOtherDefault.next('NewMessage')).message).toEqual({ content: 'second', chat: page(1, 2) });
});

test('a null variable differs from an omitted one', async () => {
  const chat = await createGroup(ada, [grace]);
  await say(ada, chat, 'first');
  const document = `subscription ($count: Int = 1) {
    events { event { __typename ... on NewMessage { message { chat { messages(last: $count) { edges { node { seq } } } } } } } }
  }`;
  await using leftOut = await followEvents(server, grace, { document });
  await using asNull = await followEvents(server, grace, { document, variables: { count: null } });
  await say(ada, chat, 'second');
  const [one, both] = await Promise.all([leftOut.next('NewMessage'), asNull.next('NewMessage')]);
  expect(eventOf(one).message.chat.messages.edges).toHaveLength(1);
  expect(eventOf(both).message.chat.messages.edges).toHaveLength(2);
});

test('documents that differ in an alias, a fragment or an operation name are different', async () => {
  const chat = await createGroup(ada, [grace]);
  const document = `
    subscription Short { happened: events { ...Envelope } }
    subscription Long { events { at ...Envelope } }
    fragment Envelope on EventEnvelope { event { __typename ... on NewMessage { message { content } } } }
  `;
  await using short = await openStream(server, grace, document, { operationName: 'Short' });
  await using long = await openStream(server, grace, document, { operationName: 'Long' });
  const isMessage = (frame: Frame) => eventOf(frame)?.__typename === 'NewMessage';
  await Promise.all([short.next(), long.next()]);
  await say(ada, chat, 'hello');
  const event = { __typename: 'NewMessage', message: { content: 'hello' } };
  expect((await short.next(isMessage)).data).toEqual({ data: { happened: { event } } });
  expect((await long.next(isMessage)).data).toEqual({ data: { events: { at: expect.any(String), event } } });
});

test('a field that fails is reported in its place, and the stream continues', async () => {
  const chat = await createGroup(ada, [grace]);
  const document = `subscription {
    events { cursor event { __typename ... on NewMessage { message { content chat { messages(first: 101) { edges { cursor } } } } } } }
  }`;
  await using stream = await openStream(server, grace, document);
  await stream.next('CaughtUp');
  await say(ada, chat, 'first');
  const { data } = await stream.next();
  expect(data.errors).toMatchObject([{ path: ['events', 'event', 'message', 'chat', 'messages'] }]);
  expect(data.errors[0].extensions).toEqual({ code: 'BAD_REQUEST' });
  await server.sql.query(`update chats set name = 'renamed' where id = $1`, [keyOf(chat)]);
  expect(envelopeOf(await stream.next('ChatUpdated')).event).toEqual({ __typename: 'ChatUpdated' });
});

test('a member whose history begins later does not share a reply to an earlier message', async () => {
  const chat = await createGroup(ada, [grace]);
  const old = await say(ada, chat, 'before his time');
  await addMembers(server, chat, [linus], 2);
  const document = `subscription {
    events { event { __typename ... on NewMessage { message { content replyTo { content } } } } }
  }`;
  await using newcomer = await followEvents(server, linus, { document });
  await using longtime = await followEvents(server, grace, { document });
  await say(ada, chat, 'about that', { replyToId: old });
  expect(eventOf(await longtime.next('NewMessage')).message).toEqual({
    content: 'about that',
    replyTo: { content: 'before his time' },
  });
  expect(eventOf(await newcomer.next('NewMessage')).message).toEqual({ content: 'about that', replyTo: null });
});
