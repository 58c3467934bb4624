import { indexedDB } from 'fake-indexeddb';
import { expect, onTestFinished, test } from 'vitest';
import { generateKeySet, parseKeySet } from '../../src/account/token-key.ts';
import { createClient, type ClientOptions, type Client, type ParleyError } from '../../src/client/client.ts';
import { pruneEvents } from '../../src/log/retention.ts';
import { createGroup, removeMember, say } from '../support/chat.ts';
import { signIn, signUpAll } from '../support/client.ts';
import { Device } from '../support/device.ts';
import { atFileEnd } from '../support/file-end.ts';
import { startServer } from '../support/server.ts';
import { shortenToken, storageIn } from '../support/stored-session.ts';

Object.assign(globalThis, { indexedDB });
atFileEnd(() => void Reflect.deleteProperty(globalThis, 'indexedDB'));

const keys = generateKeySet();
const { signing } = parseKeySet(keys);
const server = await startServer({
  env: { JWT_KEYS: keys },
  overrides: { streamTimes: { sweep: 20, tokenCheck: 50 } },
});
const [ada, grace] = await signUpAll(server, 'ada', 'grace');

/** Creates a client that stops after the test. */
function open(options: Partial<ClientOptions> = {}): Client {
  const client = createClient({ url: server.url, ...options });
  onTestFinished(() => client.stop());
  return client;
}

async function openDevice(): Promise<Device> {
  const device = new Device(ada, { url: server.url });
  onTestFinished(() => device.client.stop());
  await device.open();
  return device;
}

/** Returns a `fetch` that counts the requests whose body contains a text. */
function counting(text: string): { fetch: typeof fetch; count: () => number } {
  let count = 0;
  return {
    fetch: async (input, init) => {
      if (typeof init?.body === 'string' && init.body.includes(text)) count += 1;
      return fetch(input, init);
    },
    count: () => count,
  };
}

test('a client signs up, receives events, and shows what is unread', async () => {
  const client = open();
  await client.signUp({ username: 'linus', email: 'linus@example.com', password: 'a Good passw0rd' });
  await client.start();
  expect(client.state).toMatchObject({ connection: 'live', chatIds: [], viewer: { user: { username: 'linus' } } });
  const chatId = await createGroup(grace, [{ userId: client.state.viewer?.user.id ?? '' }]);
  await say(grace, chatId, 'hello @linus');
  await expect
    .poll(() => client.state.chats[chatId])
    .toMatchObject({ lastMessage: { content: 'hello @linus' }, unreadCount: 1, unreadMentionCount: 1 });
  expect(client.state.viewer?.unreadChatCount).toBe(1);
  await client.markRead(chatId, 1);
  await expect.poll(() => client.state.viewer?.unreadChatCount).toBe(0);
});

test('a message is shown as pending until the server has it, and then in its place', async () => {
  const { client } = await openDevice();
  const chatId = await createGroup(ada, [grace]);
  await expect.poll(() => client.state.chatIds[0]).toBe(chatId);
  await client.loadMessages(chatId);
  const shown: string[][] = [];
  client.subscribe(() => {
    const { messages = [], pending = [] } = client.state.messages[chatId] ?? {};
    shown.push([...messages.map(({ content }) => content ?? ''), ...pending.map(({ content }) => `(${content})`)]);
  });
  const sent = client.sendMessage(chatId, { content: 'hi' });
  expect(shown).toContainEqual(['(hi)']);
  expect(await sent).toMatchObject({ seq: 1, content: 'hi', senderId: ada.userId });
  expect(client.state.messages[chatId]).toMatchObject({ messages: [{ content: 'hi' }], pending: [] });
  expect(shown).not.toContainEqual(['hi', '(hi)']);
});

test('a refused message is reported, and is no longer pending', async () => {
  const refused: string[] = [];
  const client = open({ onRefused: ({ content, status }) => refused.push(`${content} ${status}`) });
  await client.signIn(ada);
  await client.start();
  const chatId = await createGroup(ada, [grace]);
  await expect.poll(() => client.state.chatIds[0]).toBe(chatId);
  const error = await client
    .sendMessage(chatId, { content: 'no', replyToId: chatId })
    .catch((reason: unknown) => reason);
  expect(error).toMatchObject({ name: 'ParleyError', code: 'INVALID_INPUT' } satisfies Partial<ParleyError>);
  expect(refused).toEqual(['no refused']);
  expect(client.state.messages[chatId]?.pending ?? []).toEqual([]);
});

test('without a network, a client shows its stored data, and it sends messages once the network is back', async () => {
  const device = await openDevice();
  const chatId = await createGroup(ada, [grace]);
  await say(grace, chatId, 'before');
  await expect.poll(() => device.client.state.chats[chatId]?.unreadCount).toBe(1);
  await device.client.loadMessages(chatId);
  await device.client.stop();
  device.goOffline();
  await device.restart();
  expect(device.client.state.messages[chatId]).toMatchObject({ messages: [{ content: 'before' }] });
  device.send(chatId, 'first');
  device.send(chatId, 'second');
  await expect.poll(() => device.client.state.connection).toBe('offline');
  expect(device.client.state.messages[chatId]?.pending).toMatchObject([{ content: 'first' }, { content: 'second' }]);
  // The response is lost, so the client has to send the request again. No message may appear twice.
  device.trouble.lostAnswers = 1;
  await device.restart();
  device.goOnline();
  await expect.poll(() => device.isSending).toBe(false);
  const { chat } = await grace.ask('query ($id: ID!) { chat(id: $id) { messages { edges { node { content } } } } }', {
    id: chatId,
  });
  expect(chat.messages.edges.map(({ node }: { node: { content: string } }) => node.content)).toEqual([
    'before',
    'first',
    'second',
  ]);
});

test('when the user loses a chat, that event removes it from the state and the storage', async () => {
  const device = await openDevice();
  const chatId = await createGroup(grace, [ada], 'a secret');
  await say(grace, chatId, 'the content');
  await expect.poll(() => device.client.state.chats[chatId]?.lastMessage?.content).toBe('the content');
  await device.client.loadMessages(chatId);
  const stored = () => [...device.stored.values()].join();
  await expect.poll(stored).toContain('the content');
  await removeMember(server, chatId, ada);
  await expect.poll(() => device.client.state.chats[chatId]).toBeUndefined();
  expect(device.client.state.messages[chatId]).toBeUndefined();
  await expect.poll(stored).not.toContain('the content');
  expect(stored()).not.toContain('a secret');
});

test('a chat that was lost while its events could not be replayed is gone once its pending message is refused', async () => {
  let [isOffline, isHeld] = [false, true];
  let cut = new AbortController();
  const waiting: (() => void)[] = [];
  const client = open({
    fetch: async (input, init) => {
      if (typeof init?.body === 'string' && init.body.includes('sendMessage(')) {
        if (isHeld) await new Promise<void>((resolve) => waiting.push(resolve));
        return fetch(input, init);
      }
      if (isOffline) throw new TypeError('fetch failed');
      return fetch(input, { ...init, signal: AbortSignal.any([cut.signal, ...(init?.signal ? [init.signal] : [])]) });
    },
  });
  await client.signIn(ada);
  await client.start();
  const chatId = await createGroup(grace, [ada]);
  await expect.poll(() => client.state.chats[chatId]).toBeDefined();
  const refusal = client.sendMessage(chatId, { content: 'too late' }).catch((error: ParleyError) => error.code);
  await expect.poll(() => waiting.length).toBe(1);
  isOffline = true;
  cut.abort();
  await removeMember(server, chatId, ada);
  await server.sql.query(`update events set at = at - interval '8 days'`);
  await pruneEvents(server.sql, 7 * 86_400_000, 10_000);
  isOffline = false;
  cut = new AbortController();
  client.reconnect();
  await expect.poll(() => client.state.connection).toBe('live');
  await expect.poll(() => client.state.chats[chatId]).toBeUndefined();
  isHeld = false;
  for (const release of waiting) release();
  expect(await refusal).toBe('NOT_FOUND');
  expect(client.state.messages[chatId]).toBeUndefined();
});

test('a response from a captive portal is neither a stream nor a result', async () => {
  const device = await openDevice();
  const chatId = await createGroup(ada, [grace]);
  await expect.poll(() => device.client.state.chatIds[0]).toBe(chatId);
  device.trouble.portals = 2;
  device.cut();
  device.send(chatId, 'hello');
  await expect.poll(() => device.isSending).toBe(false);
  device.client.reconnect();
  await expect.poll(() => device.client.state.connection).toBe('live');
});

test('requests that need a new token at the same time refresh it once', async () => {
  const { fetch, count } = counting('refreshSession');
  const client = open({ fetch, persistence: 'indexeddb' });
  await client.signIn(ada);
  const other = open({ fetch, persistence: 'indexeddb' });
  await other.start();
  expect(other.state.connection).toBe('live');
  moveClock();
  const ask = (each: Client) => each.query('{ viewer { id } }');
  await Promise.all([client, client, client, other, other].map(ask));
  expect(count()).toBe(1);
});

/** Moves the clock far ahead, so that every token seems to have expired. */
function moveClock(): () => void {
  const { now } = Date;
  Date.now = () => now() + 86_400_000;
  const end = () => void (Date.now = now);
  onTestFinished(end);
  return end;
}

test('a refresh that is under way when another user signs in leaves them alone', async () => {
  const [held, released] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const stored = new Map<string, string>();
  const client = open({
    persistence: storageIn(stored),
    fetch: async (input, init) => {
      const response = await fetch(input, init);
      if (typeof init?.body !== 'string' || !init.body.includes('refreshSession')) return response;
      held.resolve();
      await released.promise;
      return response;
    },
  });
  await client.signIn(ada);
  const endClock = moveClock();
  const asked = client.query('{ viewer { id } }').catch((reason: unknown) => reason);
  await held.promise;
  endClock();
  // Signing out does not wait for the refresh.
  await client.signOut().catch(() => {});
  expect(stored.size).toBe(0);
  await client.signIn(grace);
  const ofGrace = JSON.stringify([...stored]);
  released.resolve();
  expect(await asked).toMatchObject({ code: 'UNAUTHENTICATED' });
  expect(JSON.stringify([...stored])).toBe(ofGrace);
  const { viewer } = await client.query<{ viewer: { user: { username: string } } }>('{ viewer { user { username } } }');
  expect(viewer.user.username).toBe('grace');
});

test('a stream goes on when its token expires', async () => {
  const stored = new Map<string, string>();
  const persistence = storageIn(stored);
  await open({ persistence }).signIn(ada);
  await shortenToken(stored, signing, 1);
  const { fetch, count } = counting('subscription');
  const client = open({ persistence, fetch });
  await client.start();
  await expect.poll(count).toBe(2);
  const chatId = await createGroup(grace, [ada]);
  await expect.poll(() => client.state.chats[chatId]).toBeDefined();
});

test('when the session ends on the server, the client is signed out and keeps nothing', async () => {
  const device = await openDevice();
  const { viewer } = await device.client.query<{ viewer: { sessions: { id: string; isCurrent: boolean }[] } }>(
    '{ viewer { sessions { id isCurrent } } }',
  );
  const id = viewer.sessions.find(({ isCurrent }) => isCurrent)?.id;
  const other = await signIn(server, ada);
  await other.ask('mutation ($id: ID!) { revokeSession(sessionId: $id) { __typename } }', { id });
  await expect.poll(() => device.client.state.connection).toBe('signed-out');
  expect(device.client.state.viewer).toBeNull();
  await expect.poll(() => device.stored.size).toBe(0);
});

test('an app with its own user accounts supplies the token, and supplies another one when the first is refused', async () => {
  const given: string[] = [];
  const client = open({
    getForeignToken: async () => {
      given.push(given.length === 0 ? 'not.a.token' : grace.token);
      return given.at(-1) ?? '';
    },
  });
  await client.start();
  expect(client.state.viewer?.user.username).toBe('grace');
  expect(given.length).toBe(2);
});

test('typing is shown, and ends when that user’s message arrives', async () => {
  const { client } = await openDevice();
  const chatId = await createGroup(grace, [ada]);
  await expect.poll(() => client.state.chats[chatId]).toBeDefined();
  await grace.ask('mutation ($id: ID!) { startTyping(chatId: $id) }', { id: chatId });
  await expect.poll(() => client.state.typing[chatId]).toEqual([grace.userId]);
  await say(grace, chatId, 'typed');
  await expect.poll(() => client.state.typing[chatId]).toBeUndefined();
});

test('a file is uploaded in pieces, can be paused, and is sent with a message', async () => {
  const client = open();
  await client.signIn(ada);
  await client.start();
  const chatId = await createGroup(ada, [grace]);
  await expect.poll(() => client.state.chatIds[0]).toBe(chatId);
  const text = 'x'.repeat(2_500_000);
  const progress: number[] = [];
  const upload = await client.upload(new Blob([text]), {
    name: 'long.txt',
    onProgress: (bytes) => progress.push(bytes),
  });
  upload.pause();
  expect(progress).toEqual([]);
  upload.resume();
  const { id } = await upload.done;
  expect(progress).toEqual([0, 1_048_576, 2_097_152, 2_500_000]);
  const message = await client.sendMessage(chatId, { content: '', fileIds: [id] });
  expect(message.files).toMatchObject([{ name: 'long.txt', size: 2_500_000 }]);
  const link = (await client.fileLinks([id])).get(id);
  expect(await (await fetch(link?.url ?? '')).text()).toBe(text);
});

test('signing out everywhere ends the other sessions too', async () => {
  const [one, two] = [await openDevice(), await openDevice()];
  await one.client.signOut({ everywhere: true });
  expect(one.client.state.connection).toBe('signed-out');
  await expect.poll(() => two.client.state.connection).toBe('signed-out');
});
