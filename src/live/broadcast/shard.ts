import type { LoggedEvent } from '../../log/event.ts';

/**
 * How many shards the chats and users are divided into. All nodes must agree on it. More shards let a node skip more of
 * what does not concern it, and cost more messages for a large batch.
 */
export const shardCount = 256;

/**
 * The shard of a chat, or of a user: events that concern only one user, or only the people in one chat, travel in it.
 */
export function shardOf(id: bigint): number {
  return Number(id % BigInt(shardCount));
}

/**
 * Kinds that each node must receive, because they change who receives other events, or what the node itself does. When
 * this list or the meaning of a message changes, `protocol` (wire.ts) must change too.
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

/** The shard that an event travels in; null for an event that every node receives. */
export function shardOfEvent({ kind, audience, chatId, userId }: LoggedEvent): number | null {
  if (kindsForAll.has(kind)) return null;
  if (audience === 'CHAT' && chatId !== null) return shardOf(chatId);
  if (audience === 'PERSON' && userId !== null) return shardOf(userId);
  return null;
}
