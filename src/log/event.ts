/**
 * Who receives an event: the members of its chat, the person it is addressed to, both of these, everyone who shares a
 * chat with that person, or (INTERNAL) no client, because only the nodes act on the event.
 */
export type Audience = 'CHAT' | 'PERSON' | 'CHAT_AND_PERSON' | 'ACQUAINTANCES' | 'INTERNAL';

/**
 * The audiences whose events also reach a program that reads the whole server. Audiences that concern only one person
 * are not among them.
 */
export const serverAudiences: readonly Audience[] = ['CHAT', 'CHAT_AND_PERSON', 'ACQUAINTANCES'];

/**
 * A row of the log, which describes what happened in terms of ids. `kind` is open-ended: readers skip kinds that they
 * do not know. `seq` and `messageId` are set when the event is about a message. `detail` contains small facts that are
 * specific to the kind, but never content.
 */
export type LoggedEvent = {
  id: bigint;
  at: Date;
  kind: string;
  audience: Audience;
  chatId: bigint | null;
  userId: bigint | null;
  actorId: bigint | null;
  messageId: bigint | null;
  seq: number | null;
  version: number | null;
  detail: Record<string, unknown> | null;
  /** The rows that the publisher read for all nodes; absent in events that this node read from the log itself. */
  shared?: SharedRows;
};

/**
 * The rows that an event is about, which were read after the event was committed. Once `performance.now()` has reached
 * `until`, they must be read from the database instead, because they may have changed or been deleted in the meantime.
 */
export type SharedRows = { rows: unknown; until: number };

/** `select ${eventColumns} from events e`. */
export const eventColumns = `e.id, e.at, e.kind, e.audience, e.chat_id as "chatId", e.user_id as "userId",
  e.actor_id as "actorId", e.message_id as "messageId", e.seq, e.version, e.detail`;

/** Returns the ids from a list in the event's `detail`, or an empty array if there is no such list. */
export function idsIn(event: LoggedEvent, field: string): bigint[] {
  const list = event.detail?.[field];
  return Array.isArray(list) ? list.map((id) => BigInt(id as number | string)) : [];
}

/** Returns a number from the event's `detail`, or 0 if there is no such number. */
export function numberIn(event: LoggedEvent, field: string): number {
  const value = event.detail?.[field];
  return typeof value === 'number' ? value : 0;
}
