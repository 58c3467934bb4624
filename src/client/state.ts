/** Whether the client is in step with the server; see `State.connection`. */
export type Connection = 'signed-out' | 'connecting' | 'live' | 'behind' | 'offline';

/**
 * An immutable snapshot of everything that the client knows. Each change creates a new object, which shares the
 * unchanged parts.
 */
export interface State {
  /**
   * `signed-out` without a session, `connecting` until a stream begins, `behind` while missed events arrive, `live`
   * when nothing is missing, `offline` while the server cannot be reached, and after `stop`.
   */
  readonly connection: Connection;
  readonly viewer: Viewer | null;
  /** Ids of the viewer's chats, newest activity first. */
  readonly chatIds: readonly string[];
  readonly chats: Readonly<Record<string, Chat>>;
  readonly users: Readonly<Record<string, User>>;
  /**
   * By chat: the loaded part of its history, oldest first, and the viewer's messages that are waiting to be sent.
   */
  readonly messages: Readonly<Record<string, MessageWindow>>;
  /** By chat: ids of the users who are typing there now. */
  readonly typing: Readonly<Record<string, readonly string[]>>;
  /** By chat: its members by user id, for chats whose members were loaded. */
  readonly members: Readonly<Record<string, Readonly<Record<string, Member>>>>;
  /** By user: whether they are online, as far as the viewer may know. */
  readonly presence: Readonly<Record<string, Presence>>;
  /** By chat: the text that the user has not sent yet. */
  readonly drafts: Readonly<Record<string, string>>;
  /** How the store keeps in step with the server; not for display. */
  readonly sync: Sync;
}

/** The position of the store in the event log, and what it has to fetch again. */
export interface Sync {
  /** The cursor of the last event that was applied; null before the first snapshot. */
  readonly cursor: string | null;
  /** Set when the events since the cursor cannot be replayed, until all chats have been fetched again. */
  readonly isLost: boolean;
  /** Ids of chats that must be fetched: unknown ones, and those whose counts are uncertain. */
  readonly stale: Readonly<Record<string, true>>;
}

/** The user who is signed in. `unreadChatCount` counts chats, not messages. */
export interface Viewer {
  readonly id: string;
  readonly user: User;
  readonly unreadChatCount: number;
}

/** A user as others see them. */
export interface User {
  readonly id: string;
  readonly username: string;
  readonly displayName: string | null;
  readonly kind: string;
  readonly avatar: { readonly id: string } | null;
}

/**
 * Whether a user is online. `lastSeenAt`: when an `OFFLINE` user was last online; null if they never were, and for
 * users who are not `OFFLINE`.
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

/** A chat of the viewer’s. */
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
  /** Until then the viewer can read but not write. */
  readonly mutedUntil: string | null;
  /**
   * The counts are those at log position `countedAt`. They may already include events up to `exactAfter`; null: they
   * may include any event.
   */
  readonly countedAt: number;
  readonly exactAfter: number | null;
}

/** All reactions to a message with one emoji. */
export interface Reaction {
  readonly emoji: string;
  readonly count: number;
  readonly viewerReacted: boolean;
}

/** A file without its link, which would expire; see `Client.fileLinks`. */
export interface FileInfo {
  readonly id: string;
  readonly name: string;
  readonly contentType: string;
  readonly size: number;
  readonly width: number | null;
  readonly height: number | null;
  readonly blurhash: string | null;
}

/** A message. `content` is null once it is deleted. */
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
  /** User ids, empty while an account is being erased; null stands for everyone. */
  readonly mentions: readonly (string | null)[];
  readonly files: readonly FileInfo[];
  readonly reactions: readonly Reaction[];
}

/** The message that a reply answers. */
export interface Quote {
  readonly id: string;
  readonly seq: number;
  readonly content: string | null;
  readonly senderId: string | null;
  readonly deletedAt: string | null;
}

/** A message of the viewer's that the server does not have yet. */
export interface PendingMessage {
  readonly clientMessageId: string;
  readonly content: string;
  readonly status: 'waiting' | 'sending' | 'refused';
  readonly error: Error | null;
}

/** A stretch of a chat's history without gaps: `messages` have consecutive seqs. */
export interface MessageWindow {
  readonly messages: readonly Message[];
  readonly pending: readonly PendingMessage[];
  /** Whether there are earlier messages that are not loaded. */
  readonly hasOlder: boolean;
  /** Whether there are later messages that are not loaded: new ones are then not added at the end. */
  readonly hasNewer: boolean;
}

/** The window of a chat without loaded messages. */
export const unloaded: MessageWindow = { messages: [], pending: [], hasOlder: true, hasNewer: true };

/** What a client knows before it has signed in. */
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

/** The same record without that key; the same object if it has no such key. */
export function without<Value>(record: Readonly<Record<string, Value>>, key: string): Readonly<Record<string, Value>> {
  if (!(key in record)) return record;
  const { [key]: _, ...rest } = record;
  return rest;
}

/** The position in the log that a cursor names. Positions of one epoch are in commit order. */
export function positionOf(cursor: string | null): number {
  return cursor === null ? 0 : Number(cursor.slice(cursor.indexOf('.') + 1));
}
