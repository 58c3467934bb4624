/** Whether someone is here; `lastSeenAt` is when an OFFLINE person left, null for one who was never here. */
export type Presence = { status: 'ONLINE' | 'AWAY' | 'OFFLINE'; lastSeenAt: Date | null };

/** Someone arrived, looked away or left. */
export type PresenceChange = { userId: bigint; presence: Presence };

/** Someone is writing in a chat. */
export type Typing = { chatId: bigint; userId: bigint };

/** What is true only now: sent to the streams that are open, stored nowhere, never replayed. */
export type Transient = ({ kind: 'Typing' } & Typing) | ({ kind: 'PresenceChanged' } & PresenceChange);

/** What a stream is told about itself: it is live, or its replay was not possible. */
export type StreamNotice = { kind: 'CaughtUp'; replayed: number } | { kind: 'Reset'; reason: string };

/** What streams are told beside the events of the log. */
export type Notice = Transient | StreamNotice;
