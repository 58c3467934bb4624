// The core of parley-client's public API (issue "The client package, and a chat to click on"). The package may export
// more than this, but must export all of this under these names. Nothing here needs a framework or a DOM.

/**
 * Where a client stores what it knows until its next start: 'memory', 'indexeddb' (browsers), or a store of your own.
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
  /** For a product with its own identity: called whenever a token is needed, instead of signing in here. */
  getForeignToken?: () => Promise<string>;
  fetch?: typeof globalThis.fetch;
};

export function createClient(options: ClientOptions): Client;

export type Connection = 'signed-out' | 'connecting' | 'live' | 'behind' | 'offline';

/**
 * An immutable snapshot of everything that the client knows. Each change creates a new object, which shares the
 * unchanged parts.
 */
export interface State {
  readonly connection: Connection;
  readonly viewer: Viewer | null;
  /** Ids of the viewer's chats, newest activity first. */
  readonly chatIds: readonly string[];
  readonly chats: Readonly<Record<string, Chat>>;
  readonly users: Readonly<Record<string, User>>;
  /** By chat: what is loaded of its history, oldest first; the user's own messages that wait to be sent come last. */
  readonly messages: Readonly<Record<string, MessageWindow>>;
  /** By chat: ids of the users who are typing there now. */
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
  /** Called after every change of `state`; returns a function that unsubscribes (fits React's useSyncExternalStore). */
  subscribe(listener: () => void): () => void;

  signUp(input: { username: string; email: string; password: string; displayName?: string }): Promise<void>;
  signIn(input: { email: string; password: string }): Promise<void>;
  signOut(): Promise<void>;

  /**
   * Connects and keeps in step until `stop`; resolves once live for the first time, or when the stored state is loaded.
   */
  start(): Promise<void>;
  stop(): Promise<void>;

  /** Loads the newest page of a chat, or the page before what is loaded, or the one around a message. */
  loadMessages(chatId: string, options?: { before?: number; around?: number }): Promise<void>;
  /**
   * Shows the message at once as pending; resolves once the server has it. Without a network, it is stored and sent
   * later.
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
   * Runs any other operation of the API, with the client's token, which it refreshes. Expected failures are thrown as
   * ParleyError.
   */
  query<Data>(document: string, variables?: Record<string, unknown>): Promise<Data>;
}

/** An expected failure of the API (`code` as in ErrorCode), or a broken request (`code` as in extensions.code). */
export class ParleyError extends Error {
  readonly code: string;
  readonly fields: readonly { readonly path: readonly string[]; readonly message: string }[];
}
