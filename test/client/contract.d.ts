// The core of the public API of parley-client (issue "The client package, and a chat to click on"). The package may
// export more than this, but it must export everything here under these names. Nothing in this API needs a framework or
// a DOM.

/**
 * Where a client stores its state until the next start: 'memory', 'indexeddb' (browsers), or a store of your own.
 */
export type Persistence = 'memory' | 'indexeddb' | KeyValueStore;
export interface KeyValueStore {
  get(key: string): Promise<string | undefined>;
  set(key: string, value: string): Promise<void>;
  delete(key: string): Promise<void>;
}

export type ClientOptions = {
  /** The server, e.g. 'https://chat.example.com'. */
  url: string;
  persistence?: Persistence;
  /**
   * For products that have their own user accounts. Called whenever the client needs a token, so that users do not sign
   * in to parley.
   */
  getForeignToken?: () => Promise<string>;
  fetch?: typeof globalThis.fetch;
};

export function createClient(options: ClientOptions): Client;

export type Connection = 'signed-out' | 'connecting' | 'live' | 'behind' | 'offline';

/**
 * An immutable snapshot of everything that the client knows. Each change creates a new object, which shares the
 * unchanged parts with the previous one.
 */
export interface State {
  readonly connection: Connection;
  readonly viewer: Viewer | null;
  /** The ids of the viewer's chats, newest activity first. */
  readonly chatIds: readonly string[];
  readonly chats: Readonly<Record<string, Chat>>;
  readonly users: Readonly<Record<string, User>>;
  /**
   * For each chat, the loaded part of its history, oldest first. The user's own messages that are waiting to be sent
   * come last.
   */
  readonly messages: Readonly<Record<string, MessageWindow>>;
  /** For each chat: the ids of the users who are currently typing in it. */
  readonly typing: Readonly<Record<string, readonly string[]>>;
}

export interface Viewer {
  readonly id: string;
  readonly user: User;
  readonly unreadChatCount: number;
}
export interface User {
  readonly id: string;
  readonly username: string;
  readonly displayName: string | null;
}
export interface Chat {
  readonly id: string;
  readonly type: 'SINGLE' | 'GROUP' | 'PRIVATE_CHANNEL' | 'PUBLIC_CHANNEL';
  readonly name: string | null;
  readonly peer: User | null;
  readonly lastSeq: number;
  readonly lastMessage: Message | null;
  readonly unreadCount: number;
  readonly unreadMentionCount: number;
  readonly lastReadSeq: number;
}
export interface Message {
  readonly id: string;
  readonly seq: number;
  readonly content: string | null;
  readonly senderId: string | null;
  readonly createdAt: string;
  readonly editedAt: string | null;
  readonly deletedAt: string | null;
  readonly reactions: readonly { readonly emoji: string; readonly count: number; readonly viewerReacted: boolean }[];
}
export interface PendingMessage {
  readonly clientMessageId: string;
  readonly content: string;
  readonly status: 'waiting' | 'sending' | 'refused';
  readonly error: Error | null;
}
export interface MessageWindow {
  readonly messages: readonly Message[];
  readonly pending: readonly PendingMessage[];
  readonly hasOlder: boolean;
  readonly hasNewer: boolean;
}

export interface Client {
  readonly state: State;
  /**
   * Calls the listener after every change of `state`. Returns a function that unsubscribes (suitable for React's
   * useSyncExternalStore).
   */
  subscribe(listener: () => void): () => void;

  signUp(input: { username: string; email: string; password: string; displayName?: string }): Promise<void>;
  signIn(input: { email: string; password: string }): Promise<void>;
  signOut(): Promise<void>;

  /**
   * Connects and stays in sync until `stop`. Resolves once the client is live for the first time or the stored state
   * has been loaded.
   */
  start(): Promise<void>;
  stop(): Promise<void>;

  /** Loads the newest page of a chat, the page before the loaded messages, or the page around a message. */
  loadMessages(chatId: string, options?: { before?: number; around?: number }): Promise<void>;
  /**
   * Shows the message immediately as pending. Resolves once the server has it. Without a network, the message is stored
   * and sent later.
   */
  sendMessage(
    chatId: string,
    input: { content: string; replyToId?: string; files?: readonly Blob[] },
  ): Promise<Message>;
  editMessage(messageId: string, content: string): Promise<Message>;
  deleteMessage(messageId: string): Promise<void>;
  addReaction(messageId: string, emoji: string): Promise<void>;
  removeReaction(messageId: string, emoji: string): Promise<void>;
  markRead(chatId: string, seq: number): Promise<void>;
  startTyping(chatId: string): void;
  createChat(input: { type: Chat['type']; memberIds?: readonly string[]; name?: string }): Promise<Chat>;

  /**
   * Runs any other operation of the API with the client's token, and refreshes the token if necessary. Throws expected
   * failures as ParleyError.
   */
  query<Data>(document: string, variables?: Record<string, unknown>): Promise<Data>;
}

/** An expected failure of the API (`code` as in ErrorCode), or a broken request (`code` as in extensions.code). */
export class ParleyError extends Error {
  readonly code: string;
  readonly fields: readonly { readonly path: readonly string[]; readonly message: string }[];
}
