/** Who hears of an event: the members of its chat, the person it is addressed to, both, or whoever shares a chat with them. */
export type Audience = 'CHAT' | 'PERSON' | 'CHAT_AND_PERSON' | 'ACQUAINTANCES';

/**
 * A row of the log: what happened, by ids. `kind` is open-ended: kinds that a reader doesn't know are passed over.
 * `seq` and `messageId` are set when it is about a message; `detail` holds small facts of the kind (never content).
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
};

/** `select ${eventColumns} from events e`. */
export const eventColumns = `e.id, e.at, e.kind, e.audience, e.chat_id as "chatId", e.user_id as "userId",
  e.actor_id as "actorId", e.message_id as "messageId", e.seq, e.version, e.detail`;

/** The ids in a detail's list; empty when there is none. */
export function idsIn(event: LoggedEvent, field: string): bigint[] {
  const list = event.detail?.[field];
  return Array.isArray(list) ? list.map((id) => BigInt(id as number | string)) : [];
}

/** The number in a detail; 0 when there is none. */
export function numberIn(event: LoggedEvent, field: string): number {
  const value = event.detail?.[field];
  return typeof value === 'number' ? value : 0;
}
