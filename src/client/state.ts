/** Whether the client is in sync with the server; see `State.connection`. */
export type Connection = 'signed-out' | 'connecting' | 'live' | 'behind' | 'offline';

/**
 * An immutable snapshot of everything that the client knows. Each change creates a new object, which shares the
 * unchanged parts with the previous one.
 */
export interface State {
  /**
   * `signed-out`: there is no session. `connecting`: no stream has begun yet. `behind`: missed events are still
   * arriving. `live`: nothing is missing. `offline`: the server cannot be reached, or the client was stopped.
   */
  readonly connection: Connection;
  readonly viewer: Viewer | null;
  /** The ids of the viewer's chats, newest activity first. */
  readonly chatIds: readonly string[];
  readonly chats: Readonly<Record<string, Chat>>;
  readonly users: Readonly<Record<string, User>>;
  /**
   * For each chat: the loaded part of its history, oldest message first, and the viewer's messages that are waiting to
   * be sent.
   */
  readonly messages: Readonly<Record<string, MessageWindow>>;
  /** For each chat: the ids of the users who are currently typing in it. */
  readonly typing: Readonly<Record<string, readonly string[]>>;
  /** For each chat whose members were loaded: the members by user id. */
  readonly members: Readonly<Record<string, Readonly<Record<string, Member>>>>;
  /** For each user: whether they are online, if the viewer may know this. */
  readonly presence: Readonly<Record<string, Presence>>;
  /** For each chat: the text that the user has not sent yet. */
  readonly drafts: Readonly<Record<string, string>>;
  /** Internal data that keeps the store in sync with the server and is not meant for display. */
  readonly sync: Sync;
}

/** The store's position in the event log, and the data that the store must fetch again. */
export interface Sync {
  /** The cursor of the last event that was applied, or null before the first snapshot. */
  readonly cursor: string | null;
  /** True if the events since the cursor can no longer be replayed, until all chats have been fetched again. */
  readonly isLost: boolean;
  /** The ids of chats that must be fetched, because they are unknown or their counts are uncertain. */
  readonly stale: Readonly<Record<string, true>>;
}

/** The user who is signed in. `unreadChatCount` counts chats, not messages. */
export interface Viewer {
  readonly id: string;
  readonly user: User;
  readonly unreadChatCount: number;
}

/** A user as other people see them. */
export interface User {
  readonly id: string;
  readonly username: string;
  readonly displayName: string | null;
  readonly kind: string;
  readonly avatar: { readonly id: string } | null;
}

/**
 * Whether a user is online. `lastSeenAt` is the time when an `OFFLINE` user was last online. It is null if the user was
 * never online, and for users who are not `OFFLINE`.
 */
export interface Presence {
  readonly status: 'ONLINE' | 'AWAY' | 'OFFLINE';
  readonly lastSeenAt: string | null;
}

/** A user’s membership of a chat. */
export interface Member {
  readonly role: string;
  readonly mutedUntil: string | null;
}

/** One of the viewer’s chats. */
export interface Chat {
  readonly id: string;
  readonly type: 'SINGLE' | 'GROUP' | 'PRIVATE_CHANNEL' | 'PUBLIC_CHANNEL';
  readonly name: string | null;
  readonly description: string | null;
  readonly slowModeSeconds: number;
  readonly avatar: { readonly id: string } | null;
  readonly custom: unknown;
  readonly peer: User | null;
  readonly lastSeq: number;
  readonly lastActivityAt: string;
  readonly lastMessage: Message | null;
  readonly unreadCount: number;
  readonly unreadMentionCount: number;
  readonly lastReadSeq: number;
  readonly notificationLevel: string;
  /** The viewer's role in the chat. */
  readonly role: string;
  /** Until this time, the viewer can read but not write. */
  readonly mutedUntil: string | null;
  /**
   * The counts are correct as of log position `countedAt`. They may already include events up to `exactAfter`. If
   * `exactAfter` is null, they may include any event.
   */
  readonly countedAt: number;
  readonly exactAfter: number | null;
}

/** All reactions to a message that use the same emoji. */
export interface Reaction {
  readonly emoji: string;
  readonly count: number;
  readonly viewerReacted: boolean;
}

/** A file without its link, because links expire; see `Client.fileLinks`. */
export interface FileInfo {
  readonly id: string;
  readonly name: string;
  readonly contentType: string;
  readonly size: number;
  readonly width: number | null;
  readonly height: number | null;
  readonly blurhash: string | null;
}

/** A message. `content` is null if the message has been deleted. */
export interface Message {
  readonly id: string;
  readonly seq: number;
  readonly kind: string;
  readonly content: string | null;
  readonly senderId: string | null;
  readonly clientMessageId: string | null;
  readonly createdAt: string;
  readonly editedAt: string | null;
  readonly deletedAt: string | null;
  readonly custom: unknown;
  readonly replyTo: Quote | null;
  /**
   * The ids of the mentioned users. An id is empty while that user's account is being erased; null means everyone.
   */
  readonly mentions: readonly (string | null)[];
  readonly files: readonly FileInfo[];
  readonly reactions: readonly Reaction[];
}

/** The message to which a reply responds. */
export interface Quote {
  readonly id: string;
  readonly seq: number;
  readonly content: string | null;
  readonly senderId: string | null;
  readonly deletedAt: string | null;
}

/** One of the viewer's messages that the server does not have yet. */
export interface PendingMessage {
  readonly clientMessageId: string;
  readonly content: string;
  readonly status: 'waiting' | 'sending' | 'refused';
  readonly error: Error | null;
}

/** A contiguous part of a chat's history: `messages` have consecutive seqs. */
export interface MessageWindow {
  readonly messages: readonly Message[];
  readonly pending: readonly PendingMessage[];
  /** Whether there are earlier messages that are not loaded. */
  readonly hasOlder: boolean;
  /** Whether there are later messages that are not loaded. If so, new messages are not added at the end. */
  readonly hasNewer: boolean;
}

/** The window of a chat that has no loaded messages. */
export const unloaded: MessageWindow = { messages: [], pending: [], hasOlder: true, hasNewer: true };

/** The state of a client before it has signed in. */
export const nothing: State = {
  connection: 'signed-out',
  viewer: null,
  chatIds: [],
  chats: {},
  users: {},
  messages: {},
  typing: {},
  members: {},
  presence: {},
  drafts: {},
  sync: { cursor: null, isLost: false, stale: {} },
};

/** Returns the record without the key, or the same record if it does not contain the key. */
export function without<Value>(record: Readonly<Record<string, Value>>, key: string): Readonly<Record<string, Value>> {
  if (!(key in record)) return record;
  const { [key]: _, ...rest } = record;
  return rest;
}

/** Returns the position in the log that a cursor names. Positions within one epoch are in commit order. */
export function positionOf(cursor: string | null): number {
  return cursor === null ? 0 : Number(cursor.slice(cursor.indexOf('.') + 1));
}
