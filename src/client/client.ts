import type { ClientOptions } from './client-option.ts';
import {
  addReactionDocument,
  createChatDocument,
  deleteDocument,
  editDocument,
  markReadDocument,
  removeReactionDocument,
  typingDocument,
} from './document.ts';
import { Engine } from './engine.ts';
import { ParleyError } from './error.ts';
import type { FileLink } from './file-link.ts';
import { toMessage } from './message.ts';
import type { Server } from './request.ts';
import type { Chat, Message, State } from './state.ts';
import type { Upload, UploadOptions } from './upload.ts';
import type { WireMessage } from './wire.ts';

export { ParleyError } from './error.ts';
export { reduceEvent } from './reducer.ts';
export type { ClientOptions } from './client-option.ts';
export type { FileLink } from './file-link.ts';
export type { Refused } from './outbox.ts';
export type { KeyValueStore } from './key-value-store.ts';
export type { Persistence } from './storage.ts';
export type { Upload, UploadOptions } from './upload.ts';
export type { Envelope } from './wire.ts';
export type * from './state.ts';

/** Creates a client. The client does nothing until you call `start` or an operation. */
export function createClient(options: ClientOptions): Client {
  return new Client(options);
}

/** One user on one device. The client keeps the user's chats in sync with the server. */
export class Client {
  /** The URL of the API, and the `fetch` with which to reach it. */
  readonly server: Server;
  readonly #engine: Engine;

  /** Use `createClient` instead. */
  constructor(options: ClientOptions) {
    this.#engine = new Engine(options);
    this.server = this.#engine.server;
  }

  /** The current state: all data that the client has. */
  get state(): State {
    return this.#engine.store.state;
  }

  /** Calls the listener after every change of `state`. Returns a function that removes the listener. */
  readonly subscribe = (listener: () => void): (() => void) => this.#engine.store.subscribe(() => listener());

  async signUp(input: {
    username: string;
    email: string;
    password: string;
    displayName?: string;
    inviteCode?: string;
  }): Promise<void> {
    await this.#engine.session.signUp(input);
    await this.#engine.enter();
  }

  async signIn(input: { email: string; password: string }): Promise<void> {
    const { email, password } = input;
    await this.#engine.session.signIn({ email, password });
    await this.#engine.enter();
  }

  /**
   * Ends the session on this device (with `everywhere`, the sessions on all of the user's devices) and forgets
   * everything. If the server cannot be reached, the client still forgets everything, and then throws.
   */
  async signOut(options: { everywhere?: boolean } = {}): Promise<void> {
    try {
      await this.#engine.session.signOut(options);
    } finally {
      await this.#engine.forget();
    }
  }

  /**
   * Connects and stays in sync until `stop`. Resolves once the client is live or signed out, or once the stored state
   * is loaded.
   */
  start(): Promise<void> {
    return this.#engine.start();
  }

  /** Disconnects, and saves the state. */
  stop(): Promise<void> {
    return this.#engine.stop();
  }

  /**
   * Connects and sends immediately, without waiting for the next attempt. Call this when you know that the network is
   * back.
   */
  reconnect(): void {
    this.#engine.reconnect();
  }

  /**
   * Loads one page of a chat: the newest page, the page before or after the loaded part (`before` or `after` is the seq
   * at that end of the part), or the page around a message.
   */
  async loadMessages(
    chatId: string,
    options: { before?: number; after?: number; around?: number } = {},
  ): Promise<void> {
    const { before, after, around } = options;
    if (around !== undefined) await this.#engine.sync.loadPage(chatId, 'around', around);
    else if (before !== undefined) await this.#engine.sync.loadPage(chatId, 'older', before);
    else if (after !== undefined) await this.#engine.sync.loadPage(chatId, 'newer', after);
    else await this.#engine.sync.loadPage(chatId, 'newest');
  }

  /** Loads the members of a chat into `state.members`, and their presence into `state.presence`. */
  async loadMembers(chatId: string): Promise<void> {
    await this.#engine.sync.loadMembers(chatId);
  }

  /**
   * Shows the message immediately as pending. Resolves once the server has it. If there is no network, the message is
   * stored and sent later. Files are uploaded first. A message with files is not stored until its files are uploaded.
   *
   * Rejects with a ParleyError if the server refuses the message. `NOT_FOUND` means that the user has lost access to
   * the chat. If the connection broke before the server answered, the server may have the message, and the client
   * cannot tell.
   */
  async sendMessage(
    chatId: string,
    input: { content: string; replyToId?: string; files?: readonly Blob[]; fileIds?: readonly string[] },
  ): Promise<Message> {
    const { files = [], fileIds = [], ...rest } = input;
    // A message without files must be shown before this function returns.
    const uploaded =
      files.length === 0 ? [] : await Promise.all(files.map(async (file) => (await this.upload(file)).done));
    const ids = [...fileIds, ...uploaded.map(({ id }) => id)];
    return this.#engine.outbox.send(chatId, { ...rest, ...(ids.length > 0 && { fileIds: ids }) });
  }

  /**
   * Starts to upload a file. Once it is uploaded, a message can refer to it by its id. The first call loads the upload
   * code.
   */
  async upload(file: Blob, options?: UploadOptions): Promise<Upload> {
    const { startUpload } = await import('./upload.ts');
    return startUpload(this.server, this.#engine.session, file, options);
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

  /** Moves the read marker forward. Does nothing if the marker is already there. */
  async markRead(chatId: string, seq: number): Promise<void> {
    if (seq <= (this.state.chats[chatId]?.lastReadSeq ?? -1)) return;
    await this.query(markReadDocument, { id: chatId, seq });
  }

  /** Shows the other members that the user is typing. Call it repeatedly while the user types. */
  startTyping(chatId: string): void {
    this.query(typingDocument, { id: chatId }).catch(() => {});
  }

  /** Stores the text that the user has typed into a chat but not sent. An empty text removes the draft. */
  setDraft(chatId: string, text: string): void {
    this.#engine.store.dispatch({ type: 'draft', chatId, text });
  }

  async createChat(input: { type: Chat['type']; memberIds?: readonly string[]; name?: string }): Promise<Chat> {
    const { createChat } = await this.query<{ createChat: { id: string } }>(createChatDocument, { input });
    await this.#engine.sync.prepare();
    if (this.state.chats[createChat.id] === undefined) await this.#engine.sync.fetchChats([createChat.id]);
    const chat = this.state.chats[createChat.id];
    if (chat === undefined) throw new ParleyError('NOT_FOUND', 'The chat no longer exists.');
    return chat;
  }

  /** Returns links to files and to smaller versions of pictures, by file id. Expired links are fetched again. */
  async fileLinks(ids: readonly string[]): Promise<ReadonlyMap<string, FileLink>> {
    const { FileLinks } = await import('./file-link.ts');
    this.#engine.links ??= new FileLinks(this.#engine.session, this.server.url);
    return this.#engine.links.find(ids);
  }

  /** Returns the links that the client already has, without asking the server. */
  knownFileLinks(ids: readonly string[]): ReadonlyMap<string, FileLink> {
    return this.#engine.links?.peek(ids) ?? new Map<string, FileLink>();
  }

  /**
   * Runs any other operation of the API with the client's token, and refreshes the token if necessary. Throws expected
   * failures as ParleyError.
   */
  query<Data>(document: string, variables: Record<string, unknown> = {}): Promise<Data> {
    return this.#engine.session.query<Data>(document, variables);
  }

  /**
   * Returns the current access token, for your own requests. If the server has `refused` that token, returns a new one.
   */
  token(refused?: string): Promise<string> {
    return this.#engine.session.token(refused);
  }
}
