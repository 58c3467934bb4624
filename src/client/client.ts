import {
  addReactionDocument,
  createChatDocument,
  deleteDocument,
  editDocument,
  markReadDocument,
  removeReactionDocument,
  typingDocument,
} from './document.ts';
import { ParleyError } from './error.ts';
import type { FileLink, FileLinks } from './file-link.ts';
import { Keeper } from './keeper.ts';
import { Live } from './live.ts';
import { toMessage } from './message.ts';
import { Outbox, type Refused } from './outbox.ts';
import { Session } from './session.ts';
import type { Chat, Message, State } from './state.ts';
import { openStorage, type Persistence } from './storage.ts';
import { Store } from './store.ts';
import { Sync } from './sync.ts';
import type { Upload, UploadOptions } from './upload.ts';
import type { Envelope, WireMessage } from './wire.ts';

export { ParleyError } from './error.ts';
export { reduceEvent } from './reducer.ts';
export type { FileLink } from './file-link.ts';
export type { Refused } from './outbox.ts';
export type { KeyValueStore } from './key-value-store.ts';
export type { Persistence } from './storage.ts';
export type { Upload, UploadOptions } from './upload.ts';
export type { Envelope } from './wire.ts';
export type * from './state.ts';

export type ClientOptions = {
  /** The server, e.g. 'https://chat.example.com'. */
  url: string;
  /** 'memory' by default. */
  persistence?: Persistence;
  /** For a product with its own identity: called whenever a token is needed, instead of signing in here. */
  getForeignToken?: () => Promise<string>;
  /** In React Native, one that streams, such as that of expo/fetch. */
  fetch?: typeof globalThis.fetch;
  /** Called when the server has refused a message. It is no longer shown as pending. */
  onRefused?: (refused: Refused) => void;
  /** Called with each event after it was applied. */
  onEvent?: (envelope: Envelope) => void;
};

/** Creates a client. It does nothing until `start`, or until an operation is called. */
export function createClient(options: ClientOptions): Client {
  return new Client(options);
}

/** One user on one device: their chats, kept in step with the server. */
export class Client {
  readonly #options: ClientOptions;
  readonly #store = new Store();
  readonly #server;
  readonly #session: Session;
  readonly #sync: Sync;
  readonly #keeper: Keeper;
  readonly #outbox: Outbox;
  readonly #live: Live;
  #isStarted = false;
  #isCaughtUp = false;
  #links: FileLinks | null = null;

  /** Use `createClient` instead. */
  constructor(options: ClientOptions) {
    this.#options = options;
    const url = options.url.replace(/\/+$/, '');
    const fetch = options.fetch ?? ((...request: Parameters<typeof globalThis.fetch>) => globalThis.fetch(...request));
    const { persistence = 'memory', getForeignToken } = options;
    const store = this.#store;
    const prefix = `parley:${url}:`;
    const storage = openStorage(persistence, prefix);
    // Only tabs that share their storage share locks.
    const lockName = persistence === 'indexeddb' ? prefix : `${prefix}${Math.random()}:`;
    const server = (this.#server = { url, fetch });
    const onEnd = () => void this.#forget();
    const session = (this.#session = new Session({ server, storage, lockName, getForeignToken, onEnd }));
    this.#sync = new Sync(store, session);
    this.#keeper = new Keeper({ store, storage, lockName });
    const onRefused = (refused: Refused) => options.onRefused?.(refused);
    this.#outbox = new Outbox({ store, session, storage, lockName, onRefused });
    this.#live = new Live({
      server,
      session,
      prepare: () => this.#sync.prepare(),
      cursor: () => store.state.sync.cursor,
      onEnvelope: (envelope) => this.#take(envelope),
      onConnection: (connection) => {
        this.#isCaughtUp = false;
        store.dispatch({ type: 'connection', connection });
      },
      onLoss: () => store.dispatch({ type: 'lost' }),
    });
    store.subscribe((before) => {
      if (before.sync.isLost && !store.state.sync.isLost && this.#isCaughtUp) this.#showProgress();
    });
  }

  /** What the client knows now. */
  get state(): State {
    return this.#store.state;
  }

  /** Calls the listener after every change of `state`; returns the function that ends it. */
  subscribe(listener: () => void): () => void {
    return this.#store.subscribe(() => listener());
  }

  async signUp(input: { username: string; email: string; password: string; displayName?: string }): Promise<void> {
    await this.#session.signUp(input);
    await this.#clear();
    await this.#begin();
  }

  async signIn(input: { email: string; password: string }): Promise<void> {
    const { email, password } = input;
    await this.#session.signIn({ email, password });
    await this.#clear();
    await this.#begin();
  }

  /**
   * Ends the session on this device, or with `everywhere` on all of them, and forgets everything. If the server cannot be
   * reached, it forgets all the same, and throws.
   */
  async signOut(options: { everywhere?: boolean } = {}): Promise<void> {
    try {
      await this.#session.signOut(options);
    } finally {
      await this.#forget();
    }
  }

  /** Connects and keeps in step until `stop`; resolves once live for the first time, or with what was kept. */
  async start(): Promise<void> {
    if (this.#isStarted) return;
    this.#isStarted = true;
    const isOpen = await this.#session.restore();
    if (!isOpen) return;
    const isKept = await this.#keeper.open();
    await this.#begin(isKept);
  }

  /** Disconnects, and writes what has to be kept. */
  async stop(): Promise<void> {
    this.#isStarted = false;
    this.#live.stop();
    this.#sync.close();
    this.#outbox.close();
    await this.#keeper.close();
    if (this.state.viewer !== null) this.#store.dispatch({ type: 'connection', connection: 'offline' });
  }

  /** Connects and sends now, without waiting for the next attempt: for when the network is known to be back. */
  reconnect(): void {
    this.#live.wake();
    this.#outbox.wake();
  }

  /**
   * Loads the newest page of a chat, or the page before or after a seq at the end of what is loaded, or the one around a
   * message.
   */
  async loadMessages(
    chatId: string,
    options: { before?: number; after?: number; around?: number } = {},
  ): Promise<void> {
    const { before, after, around } = options;
    if (around !== undefined) await this.#sync.loadPage(chatId, 'around', around);
    else if (before !== undefined) await this.#sync.loadPage(chatId, 'older', before);
    else if (after !== undefined) await this.#sync.loadPage(chatId, 'newer', after);
    else await this.#sync.loadPage(chatId, 'newest');
  }

  /** Loads the members of a chat into `state.members`, and whether they are online into `state.presence`. */
  async loadMembers(chatId: string): Promise<void> {
    await this.#sync.loadMembers(chatId);
  }

  /**
   * Shows the message at once as pending; resolves once the server has it. Without a network it is kept, and sent later.
   * Files are uploaded first, and a message with files is kept only from then on.
   */
  async sendMessage(
    chatId: string,
    input: { content: string; replyToId?: string; files?: readonly Blob[]; fileIds?: readonly string[] },
  ): Promise<Message> {
    const { files = [], fileIds = [], ...rest } = input;
    // Without files, the message must be shown before this function returns.
    const uploaded =
      files.length === 0 ? [] : await Promise.all(files.map(async (file) => (await this.upload(file)).done));
    const ids = [...fileIds, ...uploaded.map(({ id }) => id)];
    return this.#outbox.send(chatId, { ...rest, ...(ids.length > 0 && { fileIds: ids }) });
  }

  /** Begins to upload a file, to be sent by its id. The code for it is loaded at the first call. */
  async upload(file: Blob, options?: UploadOptions): Promise<Upload> {
    const { startUpload } = await import('./upload.ts');
    return startUpload(this.#server, this.#session, file, options);
  }

  async editMessage(messageId: string, content: string): Promise<Message> {
    const data = await this.query<{ editMessage: WireMessage }>(editDocument, { id: messageId, content });
    return toMessage(data.editMessage);
  }

  async deleteMessage(messageId: string): Promise<void> {
    await this.query(deleteDocument, { id: messageId });
  }

  async addReaction(messageId: string, emoji: string): Promise<void> {
    await this.query(addReactionDocument, { id: messageId, emoji });
  }

  async removeReaction(messageId: string, emoji: string): Promise<void> {
    await this.query(removeReactionDocument, { id: messageId, emoji });
  }

  /** Moves the read marker forward. Does nothing if it is there already. */
  async markRead(chatId: string, seq: number): Promise<void> {
    if (seq <= (this.state.chats[chatId]?.lastReadSeq ?? -1)) return;
    await this.query(markReadDocument, { id: chatId, seq });
  }

  /** Shows the others that the user is typing: call it again while they are. */
  startTyping(chatId: string): void {
    this.query(typingDocument, { id: chatId }).catch(() => {});
  }

  /** Keeps the text that the user has typed into a chat and not sent; an empty one removes it. */
  setDraft(chatId: string, text: string): void {
    this.#store.dispatch({ type: 'draft', chatId, text });
  }

  async createChat(input: { type: Chat['type']; memberIds?: readonly string[]; name?: string }): Promise<Chat> {
    const { createChat } = await this.query<{ createChat: { id: string } }>(createChatDocument, { input });
    await this.#sync.prepare();
    if (this.state.chats[createChat.id] === undefined) await this.#sync.fetchChats([createChat.id]);
    const chat = this.state.chats[createChat.id];
    if (chat === undefined) throw new ParleyError('NOT_FOUND', 'The chat is gone already.');
    return chat;
  }

  /** Links to files and to smaller versions of pictures, by file id. They are asked for again when they have ended. */
  async fileLinks(ids: readonly string[]): Promise<ReadonlyMap<string, FileLink>> {
    const { FileLinks } = await import('./file-link.ts');
    this.#links ??= new FileLinks(this.#session, this.#server.url);
    return this.#links.find(ids);
  }

  /** Anything else of the API, with the client's token and refresh. Expected failures are thrown as ParleyError. */
  query<Data>(document: string, variables: Record<string, unknown> = {}): Promise<Data> {
    return this.#session.query<Data>(document, variables);
  }

  /** Resolves once live, or immediately with what is kept, or once signed out again. */
  async #begin(isKept = false): Promise<void> {
    if (!this.#isStarted) return;
    await this.#keeper.open();
    const isReady = () => {
      const { connection, sync } = this.state;
      return connection === 'signed-out' || (connection === 'live' && !sync.isLost);
    };
    this.#sync.open();
    this.#live.start();
    void this.#outbox.open();
    if (isKept || isReady()) return;
    await new Promise<void>((resolve) => {
      const end = this.subscribe(() => {
        if (!isReady() && this.#isStarted) return;
        end();
        resolve();
      });
    });
  }

  #take(envelope: Envelope): void {
    this.#sync.apply(envelope);
    if (envelope.event.__typename === 'CaughtUp') {
      this.#isCaughtUp = true;
      this.#outbox.caughtUp();
    }
    this.#showProgress();
    this.#options.onEvent?.(envelope);
  }

  #showProgress(): void {
    const connection = this.#isCaughtUp && !this.state.sync.isLost ? 'live' : 'behind';
    this.#store.dispatch({ type: 'connection', connection });
  }

  async #forget(): Promise<void> {
    await this.#session.forget();
    await this.#clear();
  }

  /** Forgets everything but the session. */
  async #clear(): Promise<void> {
    this.#live.stop();
    this.#sync.close({ forget: true });
    this.#links = null;
    this.#store.dispatch({ type: 'signedOut' });
    await this.#outbox.clear();
    await this.#keeper.clear();
  }
}
