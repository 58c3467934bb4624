/**
 * The online status of a person. `lastSeenAt` is when an OFFLINE person left. It is null for a person who is not
 * OFFLINE, and for a person who has never been online.
 */
export type Presence = { status: 'ONLINE' | 'AWAY' | 'OFFLINE'; lastSeenAt: Date | null };

/** A change in a person's presence: they came online, went away or went offline. */
export type PresenceChange = { userId: bigint; presence: Presence };

/** The notice that a person is typing in a chat. */
export type Typing = { chatId: bigint; userId: bigint };

/** Transient notices, which are sent to the open streams but never stored or replayed. */
export type Transient = ({ kind: 'Typing' } & Typing) | ({ kind: 'PresenceChanged' } & PresenceChange);

/** Notices about the stream itself: that it is live, or that its replay was not possible. */
export type StreamNotice = { kind: 'CaughtUp'; replayed: number } | { kind: 'Reset'; reason: string };

/** Everything that streams receive besides the events from the log. */
export type Notice = Transient | StreamNotice;
