/**
 * Whether a person is online. `lastSeenAt` is when an OFFLINE person left; null for others, and for a person who was
 * never online.
 */
export type Presence = { status: 'ONLINE' | 'AWAY' | 'OFFLINE'; lastSeenAt: Date | null };

/** A person came online, went away or went offline. */
export type PresenceChange = { userId: bigint; presence: Presence };

/** A person is typing in a chat. */
export type Typing = { chatId: bigint; userId: bigint };

/** Transient notices: sent to the open streams, never stored, never replayed. */
export type Transient = ({ kind: 'Typing' } & Typing) | ({ kind: 'PresenceChanged' } & PresenceChange);

/** Notices about the stream itself: it is live, or its replay was not possible. */
export type StreamNotice = { kind: 'CaughtUp'; replayed: number } | { kind: 'Reset'; reason: string };

/** Everything that streams receive besides the events of the log. */
export type Notice = Transient | StreamNotice;
