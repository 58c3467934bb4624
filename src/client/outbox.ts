import { sendDocument } from './document.ts';
import { isTemporary, ParleyError } from './error.ts';
import { toMessage } from './message.ts';
import type { Session } from './session.ts';
import type { Message, PendingMessage } from './state.ts';
import type { KeyValueStore } from './key-value-store.ts';
import type { Store } from './store.ts';
import { withLock } from './tab.ts';
import { backOff, Pause } from './timer.ts';
import type { WireMessage } from './wire.ts';

/** The content of a message, once its files are uploaded. */
export type Sendable = { content: string; replyToId?: string; fileIds?: readonly string[]; custom?: object };
type Kept = { clientMessageId: string; chatId: string; input: Sendable };
/** `isSent`: the server has the message, and the event for it has yet to arrive. */
type Entry = Kept & { status: PendingMessage['status']; isSent: boolean; settle: Settle | null };
type Settle = { resolve: (message: Message) => void; reject: (error: Error) => void };

/** A message that the server refused, or whose chat the user can no longer access. */
export type Refused = PendingMessage & { chatId: string };

const storageKey = 'outbox';

/**
 * What the outbox needs to work. Tabs with the same `lockName` share their stored messages. Each tab sends its own
 * messages, and the messages that it finds in the store when it opens.
 */
export type OutboxOptions = {
  store: Store;
  session: Session;
  storage: KeyValueStore;
  lockName: string;
  onRefused: (refused: Refused) => void;
};

/**
 * Sends messages in order within each chat, and retries for as long as necessary, even after a restart. The server
 * recognises a message that it already has by its clientMessageId, so no message is stored twice.
 */
export class Outbox {
  readonly #options: OutboxOptions;
  readonly #entries: Entry[] = [];
  readonly #working = new Set<string>();
  readonly #pause = new Set<Pause>();
  #isOpen = false;
  #saving: Promise<unknown> = Promise.resolve();

  constructor(options: OutboxOptions) {
    this.#options = options;
    options.store.subscribe((before) => {
      const { chats, viewer, sync } = options.store.state;
      // While everything is being fetched again, some chats that the user is still a member of are missing.
      if (chats === before.chats || viewer === null || sync.isLost) return;
      const lost = new ParleyError('NOT_FOUND', 'You no longer have access to this chat.');
      for (const entry of [...this.#entries]) {
        if (before.chats[entry.chatId] !== undefined && chats[entry.chatId] === undefined) this.#refuse(entry, lost);
      }
    });
  }

  /** Sends the messages that were waiting when the app closed, and those that have been added since. */
  async open(): Promise<void> {
    const known = new Set(this.#entries.map(({ clientMessageId }) => clientMessageId));
    for (const kept of await this.#read()) {
      if (!known.has(kept.clientMessageId)) {
        this.#entries.push({ ...kept, status: 'waiting', isSent: false, settle: null });
      }
    }
    this.#isOpen = true;
    this.wake();
  }

  /** Stops sending, but keeps the waiting messages. */
  close(): void {
    this.#isOpen = false;
    for (const pause of this.#pause) pause.end();
  }

  /**
   * Adds a message. Resolves once the server has the message. Rejects if the server refuses it, the user loses access
   * to the chat, or the session ends.
   */
  async send(chatId: string, input: Sendable): Promise<Message> {
    const entry: Entry = {
      clientMessageId: newId(),
      chatId,
      input,
      status: 'waiting',
      isSent: false,
      settle: null,
    };
    const sent = new Promise<Message>((resolve, reject) => (entry.settle = { resolve, reject }));
    this.#entries.push(entry);
    this.#show(chatId);
    await this.#save((kept) => [...kept, pick(entry)]);
    void this.#work(chatId);
    return sent;
  }

  /** Retries immediately, because the server can be reached. */
  wake(): void {
    for (const pause of this.#pause) pause.end();
    for (const chatId of new Set(this.#entries.map((entry) => entry.chatId))) {
      this.#show(chatId);
      void this.#work(chatId);
    }
  }

  /** Called when every event so far has arrived, including the events for the sent messages. */
  caughtUp(): void {
    for (const entry of this.#entries.filter(({ isSent }) => isSent)) this.#drop(entry);
    this.wake();
  }

  /** Discards everything, because the session has ended. */
  async clear(): Promise<void> {
    this.leave();
    await this.#save(() => []);
  }

  /** Discards everything in this tab, but leaves the stored messages to the other tabs. */
  leave(): void {
    const ended = new ParleyError('UNAUTHENTICATED', 'The session has ended.');
    for (const { settle } of this.#entries.splice(0)) settle?.reject(ended);
  }

  async #work(chatId: string): Promise<void> {
    if (this.#working.has(chatId)) return;
    this.#working.add(chatId);
    let failures = 0;
    for (;;) {
      const entry = this.#entries.find((one) => one.chatId === chatId && !one.isSent);
      if (entry === undefined || !this.#isOpen) break;
      const waitMs = await this.#attempt(entry, failures);
      failures = waitMs === 0 ? 0 : failures + 1;
      if (waitMs > 0) await this.#wait(waitMs);
    }
    this.#working.delete(chatId);
  }

  /**
   * Tries once to send a message. Resolves to the time to wait before the next attempt, in ms, or to 0 if no other
   * attempt is needed.
   */
  async #attempt(entry: Entry, failures: number): Promise<number> {
    const { chatId, clientMessageId } = entry;
    this.#mark(entry, 'sending');
    try {
      const input = { chatId, clientMessageId, ...entry.input };
      const { sendMessage } = await this.#options.session.query<{ sendMessage: WireMessage }>(sendDocument, { input });
      await this.#finish(entry, sendMessage);
      return 0;
    } catch (error) {
      if (!isTemporary(error)) {
        this.#refuse(entry, error instanceof Error ? error : new Error(String(error)));
        return 0;
      }
      this.#mark(entry, 'waiting');
      const seconds = error instanceof ParleyError ? error.retryAfterSeconds : null;
      return seconds === null ? backOff(failures) : seconds * 1_000;
    }
  }

  async #finish(entry: Entry, message: WireMessage): Promise<void> {
    const { store } = this.#options;
    const { chatId } = entry;
    await this.#forget(entry);
    entry.isSent = true;
    store.dispatch({ type: 'sent', chatId, message });
    const window = store.state.messages[chatId];
    const end = window?.messages.at(-1)?.seq ?? 0;
    // Otherwise, the pending message stays visible until its event arrives, which moves the message to its place.
    if (window === undefined || window.hasNewer || end >= message.seq) this.#drop(entry);
    entry.settle?.resolve(toMessage(message));
  }

  #refuse(entry: Entry, error: Error): void {
    const { chatId, clientMessageId, input, settle } = entry;
    if (entry.isSent || !this.#entries.includes(entry)) return this.#drop(entry);
    this.#drop(entry);
    void this.#forget(entry);
    settle?.reject(error);
    this.#options.onRefused({ chatId, clientMessageId, content: input.content, status: 'refused', error });
  }

  #drop(entry: Entry): void {
    const index = this.#entries.indexOf(entry);
    if (index >= 0) this.#entries.splice(index, 1);
    this.#show(entry.chatId);
  }

  #mark(entry: Entry, status: PendingMessage['status']): void {
    entry.status = status;
    this.#show(entry.chatId);
  }

  #show(chatId: string): void {
    const { store } = this.#options;
    const known = new Set(store.state.messages[chatId]?.messages.map((message) => message.clientMessageId));
    const pending = this.#entries
      .filter((entry) => entry.chatId === chatId && !known.has(entry.clientMessageId))
      .map(({ clientMessageId, input, status }) => ({ clientMessageId, content: input.content, status, error: null }));
    store.dispatch({ type: 'pending', chatId, pending });
  }

  async #wait(ms: number): Promise<void> {
    const pause = new Pause();
    this.#pause.add(pause);
    await pause.wait(ms);
    this.#pause.delete(pause);
  }

  #forget({ clientMessageId }: Entry): Promise<void> {
    return this.#save((kept) => kept.filter((one) => one.clientMessageId !== clientMessageId));
  }

  async #read(): Promise<Kept[]> {
    return JSON.parse((await this.#options.storage.get(storageKey)) ?? '[]');
  }

  /** Changes the stored messages. Other tabs store their messages in the same place, so the tabs take turns. */
  async #save(change: (kept: Kept[]) => Kept[]): Promise<void> {
    const { storage, lockName } = this.#options;
    const write = () =>
      withLock(`${lockName}outbox`, async () => {
        const kept = change(await this.#read());
        await (kept.length === 0 ? storage.delete(storageKey) : storage.set(storageKey, JSON.stringify(kept)));
      });
    const saving = this.#saving.then(write, write);
    this.#saving = saving.catch(() => {});
    await saving;
  }
}

function pick({ clientMessageId, chatId, input }: Entry): Kept {
  return { clientMessageId, chatId, input };
}

/** Returns a random id of 128 bits. `crypto.randomUUID` exists only in secure contexts (HTTPS or localhost). */
function newId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
