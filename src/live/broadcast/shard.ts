import type { LoggedEvent } from '../../log/event.ts';

/**
 * The number of shards that chats and users are divided into. All nodes must agree on this number. With more shards, a
 * node can skip more of the events that do not concern it, but a large batch needs more messages.
 */
export const shardCount = 256;

/**
 * Returns the shard of a chat or of a user, which carries the events that concern only the people in that chat or only
 * that user.
 */
export function shardOf(id: bigint): number {
  return Number(id % BigInt(shardCount));
}

/**
 * The kinds of events that every node must receive, because they change who receives other events or what the node
 * itself does. When this list or the meaning of a message changes, `protocol` (wire.ts) must change too.
 */
const kindsForAll: ReadonlySet<string> = new Set([
  'NewChat',
  'AddToChat',
  'RemoveFromChat',
  'BanStarted',
  'ChatUpdated',
  'ChatDeleted',
  'SessionEnded',
  'ApiKeyEnded',
  'WebhookChanged',
]);

/** Returns the shard that carries an event; null for an event that every node receives. */
export function shardOfEvent({ kind, audience, chatId, userId }: LoggedEvent): number | null {
  if (kindsForAll.has(kind)) return null;
  if (audience === 'CHAT' && chatId !== null) return shardOf(chatId);
  if (audience === 'PERSON' && userId !== null) return shardOf(userId);
  return null;
}
