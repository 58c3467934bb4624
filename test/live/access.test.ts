import { expect, test } from 'vitest';
import { createGroup, createPublicChannel, removeMember, say } from '../support/chat.ts';
import { signIn, signUp } from '../support/client.ts';
import { ban } from '../support/moderation.ts';
import { openProxy } from '../support/proxy.ts';
import { startServer } from '../support/server.ts';
import { sharedServer } from '../support/shared-server.ts';
import { chatEventsDocument, eventOf, followChat, followEvents, openStream } from '../support/stream.ts';

const server = await sharedServer();
const ada = await signUp(server, 'ada');
const grace = await signUp(server, 'grace');
const linus = await signUp(server, 'linus');

test('a user who is removed while their stream of one chat opens receives nothing of that chat', async () => {
  const proxy = await openProxy(server.database.url);
  const env = { DATABASE_URL: proxy.through(server.database.url), DATABASE_DIRECT_URL: server.database.url };
  await using node = await startServer({ database: server.database, env });
  const chat = await createGroup(ada, [grace, linus]);
  await using witness = await followEvents(node, linus);

  const access = proxy.hold('events_missed_in_chat');
  await using stream = await openStream(node, grace, chatEventsDocument, { variables: { chatId: chat } });
  await access.caught;
  await removeMember(server, chat, grace);
  await witness.next('RemoveFromChat');
  access.release();
  await say(ada, chat, 'without grace');
  await witness.next('NewMessage');
  const frames = await stream.ended();
  expect(frames.slice(-2)).toMatchObject([
    { event: 'next', data: { errors: [{ extensions: { code: 'NOT_FOUND' } }] } },
    { event: 'complete' },
  ]);
  // A stream that was live before the removal receives the removal as an event.
  expect(['CaughtUp', 'RemoveFromChat']).toEqual(
    expect.arrayContaining(frames.slice(0, -2).map((frame) => eventOf(frame).__typename)),
  );
});

test('a reader who is banned while their stream of a public channel opens receives nothing after the ban', async () => {
  const proxy = await openProxy(server.database.url);
  const env = { DATABASE_URL: proxy.through(server.database.url), DATABASE_DIRECT_URL: server.database.url };
  await using node = await startServer({ database: server.database, env });
  const channel = await createPublicChannel(ada);
  await using witness = await followChat(node, linus, channel);

  const access = proxy.hold('events_missed_in_chat');
  await using stream = await openStream(node, grace, chatEventsDocument, { variables: { chatId: channel } });
  await access.caught;
  await ban(ada, channel, grace.userId);
  await say(ada, channel, 'without grace');
  await witness.next('NewMessage');
  access.release();
  const frames = await stream.ended();
  expect(frames.slice(-2)).toMatchObject([
    { event: 'next', data: { errors: [{ extensions: { code: 'NOT_FOUND' } }] } },
    { event: 'complete' },
  ]);
  expect(frames.slice(0, -2).map((frame) => eventOf(frame).__typename)).not.toContain('NewMessage');
});

test('the streams of a session that ends are closed on every node, and the server tells the client not to reconnect', async () => {
  await using node = await startServer({ database: server.database });
  const chat = await createGroup(ada, [grace]);
  const phone = await signIn(server, grace);
  await using everything = await followEvents(node, phone);
  await using oneChat = await followChat(server, phone, chat);
  await using elsewhere = await followEvents(node, grace);
  await phone.ask('mutation { signOut }');
  for (const stream of [everything, oneChat]) {
    expect(await stream.ended()).toMatchObject([
      { event: 'next', data: { errors: [{ extensions: { code: 'UNAUTHENTICATED' } }] } },
      { event: 'complete' },
    ]);
  }
  await say(ada, chat, 'to the other device');
  await elsewhere.next('NewMessage');
});
