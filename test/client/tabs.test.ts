import { indexedDB } from 'fake-indexeddb';
import { expect, onTestFinished, test } from 'vitest';
import { createClient, type Client } from '../../src/client/client.ts';
import { createGroup, say } from '../support/chat.ts';
import { signUpAll } from '../support/client.ts';
import { atFileEnd } from '../support/file-end.ts';
import { startServer } from '../support/server.ts';

Object.assign(globalThis, { indexedDB });
atFileEnd(() => void Reflect.deleteProperty(globalThis, 'indexedDB'));

const server = await startServer();
const [ada, grace] = await signUpAll(server, 'ada', 'grace');

/** Opens two tabs: clients that share IndexedDB, locks and channels, like the tabs of a browser. */
async function openTabs() {
  const streams = new Set<AbortSignal>();
  const track: typeof fetch = (input, init) => {
    const signal = init?.signal;
    if (signal && new Headers(init.headers).get('accept') === 'text/event-stream') {
      streams.add(signal);
      signal.addEventListener('abort', () => streams.delete(signal));
    }
    return fetch(input, init);
  };
  const open = () => {
    const client = createClient({ url: server.url, persistence: 'indexeddb', fetch: track });
    onTestFinished(() => client.stop());
    return client;
  };
  const first = open();
  await first.signIn(ada);
  await first.start();
  const second = open();
  await second.start();
  await expect.poll(() => streams.size).toBe(1);
  return { first, second, streams, open };
}

/** Returns what the tab shows of the chat, without the fields that depend on when the tab fetched the chat. */
function shownBy({ state }: Client, chatId: string): object {
  const { countedAt: _, exactAfter: __, ...shown } = state.chats[chatId] ?? {};
  return shown;
}

const lastIn = (client: Client, chatId: string) => client.state.chats[chatId]?.lastMessage?.content;

test('tabs share one stream, and another tab opens one when its tab is closed', async () => {
  const { first, second, streams, open } = await openTabs();
  const chatId = await createGroup(grace, [ada]);
  await say(grace, chatId, 'one');
  for (const tab of [first, second]) await expect.poll(() => lastIn(tab, chatId)).toBe('one');
  await grace.ask('mutation ($id: ID!) { startTyping(chatId: $id) }', { id: chatId });
  for (const tab of [first, second]) await expect.poll(() => tab.state.typing[chatId]).toEqual([grace.userId]);
  expect(streams.size).toBe(1);

  const third = open();
  await third.start();
  await first.stop();
  await say(grace, chatId, 'two');
  for (const tab of [second, third]) await expect.poll(() => lastIn(tab, chatId)).toBe('two');
  await expect.poll(() => streams.size).toBe(1);
  await say(grace, chatId, 'three');
  for (const tab of [second, third]) await expect.poll(() => lastIn(tab, chatId)).toBe('three');
  expect(shownBy(second, chatId)).toEqual(shownBy(third, chatId));
});

test('a tab that missed what the tab with the stream passed on catches up by itself', async () => {
  const { first, second, streams } = await openTabs();
  const chatId = await createGroup(grace, [ada]);
  for (const tab of [first, second]) await expect.poll(() => tab.state.chats[chatId]).toBeDefined();
  const original = Object.getOwnPropertyDescriptor(BroadcastChannel.prototype, 'postMessage') ?? {};
  const post: (this: BroadcastChannel, notice: { kind: string }) => void = original.value;
  let lost = 0;
  const lose = function (this: BroadcastChannel, notice: { kind: string }) {
    if (notice.kind === 'event' && lost === 0) lost += 1;
    else post.call(this, notice);
  };
  Object.defineProperty(BroadcastChannel.prototype, 'postMessage', { ...original, value: lose });
  onTestFinished(() => void Object.defineProperty(BroadcastChannel.prototype, 'postMessage', original));
  await say(grace, chatId, 'lost');
  await expect.poll(() => lost).toBe(1);
  await say(grace, chatId, 'next');
  for (const tab of [first, second]) {
    await tab.loadMessages(chatId);
    await expect.poll(() => lastIn(tab, chatId)).toBe('next');
    expect(tab.state.chats[chatId]?.unreadCount).toBe(2);
  }
  await expect.poll(() => streams.size).toBe(1);
});

test('signing out or in as another user in one tab does the same in the others', async () => {
  const { first, second } = await openTabs();
  const chatId = await createGroup(grace, [ada], 'a secret');
  await expect.poll(() => second.state.chats[chatId]).toBeDefined();
  await first.signOut();
  await expect.poll(() => second.state.connection).toBe('signed-out');
  expect(second.state.viewer).toBeNull();

  await first.signIn(ada);
  await expect.poll(() => second.state.viewer?.user.username).toBe('ada');
  await first.signIn(grace);
  await expect.poll(() => second.state.viewer?.user.username).toBe('grace');
  await expect.poll(() => second.state.connection).toBe('live');
  await first.signOut();
  await expect.poll(() => second.state.connection).toBe('signed-out');
});
