import { beforeAll, expect, test } from 'vitest';
import { addMembers, createGroup, createPublicChannel, heardBy, keyOf, removeMember, say } from '../support/chat.ts';
import { type Person, signUpAll } from '../support/client.ts';
import type { TestServer } from '../support/server.ts';
import { sharedServer } from '../support/shared-server.ts';
import { chatEventsDocument, eventOf, followChat, followEvents, readMissed } from '../support/stream.ts';

let server: TestServer;
let ada: Person;
let grace: Person;
let linus: Person;
beforeAll(async () => {
  server = await sharedServer();
  [ada, grace, linus] = await signUpAll(server, 'ada', 'grace', 'linus');
});

/**
 * Creates a chat with one message from before Linus joined, and one from after that. He sees the second and later
 * messages.
 */
async function createWithNewcomer() {
  const chat = await createGroup(ada, [grace]);
  const old = await say(ada, chat, 'before his time');
  await addMembers(server, chat, [linus], 2);
  const recent = await say(ada, chat, 'in his time');
  return { chat, old, recent };
}

async function editBoth(...ids: string[]) {
  for (const id of ids) {
    await server.sql.query(`update messages set content = content || ', edited' where id = $1`, [keyOf(id)]);
  }
}

async function deleteBoth(...ids: string[]) {
  for (const id of ids) await server.sql.query('delete from messages where id = $1', [keyOf(id)]);
}

const toldOf = ['MessageEdited', 'MessageDeleted'];

test('a newcomer receives no changes to messages from before they joined', async () => {
  const { old, recent } = await createWithNewcomer();
  await using newcomer = await followEvents(server, linus);
  await using longtime = await followEvents(server, grace);
  await editBoth(old, recent);
  await deleteBoth(old, recent);
  const kinds = (events: { __typename: string; message?: { id: string } }[]) =>
    events.map(({ __typename, message }) => [__typename, message?.id]);
  expect(kinds(await heardBy(linus, newcomer))).toEqual(toldOf.map((kind) => [kind, recent]));
  expect(kinds(await heardBy(grace, longtime))).toEqual(
    toldOf.flatMap((kind) => [
      [kind, old],
      [kind, recent],
    ]),
  );
});

test('a newcomer receives no such changes on a stream of that chat or when catching up', async () => {
  const { chat, old, recent } = await createWithNewcomer();
  await using stream = await followChat(server, linus, chat);
  const { cursor } = stream;
  await editBoth(old, recent);
  await deleteBoth(old, recent);
  const live = await stream.until('MessageDeleted');
  expect(live.map((frame) => eventOf(frame).message.id)).toEqual([recent, recent]);
  const missed = await readMissed(server, linus, cursor);
  expect(missed.flatMap((frame) => eventOf(frame).message?.id ?? [])).toEqual([recent, recent]);
  const ofChat = await readMissed(server, linus, cursor, { document: chatEventsDocument, variables: { chatId: chat } });
  expect(ofChat.flatMap((frame) => eventOf(frame).message?.id ?? [])).toEqual([recent, recent]);
});

test('a newcomer who catches up receives nothing from before they joined', async () => {
  const { eventCursor } = (await linus.ask('{ viewer { eventCursor } }')).viewer;
  const { chat, recent } = await createWithNewcomer();
  const missed = await readMissed(server, linus, eventCursor);
  expect(missed.map(eventOf)).toMatchObject([
    { __typename: 'AddToChat', chat: { id: chat } },
    { __typename: 'NewMessage', message: { id: recent } },
    { __typename: 'CaughtUp', replayed: 2 },
  ]);
});

test('a member who left and rejoined receives the messages from then on, but not those sent in between', async () => {
  const chat = await createGroup(ada, [grace, linus]);
  const { eventCursor } = (await linus.ask('{ viewer { eventCursor } }')).viewer;
  await removeMember(server, chat, linus);
  await say(ada, chat, 'in the meantime');
  await addMembers(server, chat, [linus], 2);
  await say(ada, chat, 'since');
  expect((await readMissed(server, linus, eventCursor)).map(eventOf)).toMatchObject([
    { __typename: 'RemoveFromChat', userId: linus.userId },
    { __typename: 'AddToChat' },
    { __typename: 'NewMessage', message: { content: 'since' } },
    { __typename: 'CaughtUp' },
  ]);
});

test('everyone can follow all of a public channel, whenever they became members', async () => {
  const channel = await createPublicChannel(ada);
  const old = await say(ada, channel, 'before his time');
  await addMembers(server, channel, [linus], 2);
  await using member = await followChat(server, linus, channel);
  await using reader = await followChat(server, grace, channel);
  await deleteBoth(old);
  for (const stream of [member, reader]) {
    expect(eventOf(await stream.next('MessageDeleted'))).toMatchObject({ message: { id: old } });
  }
});
