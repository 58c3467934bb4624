import type { Queryable } from './client.ts';
import type { RestrictionKind } from './generated/prisma/client.ts';

/**
 * Returns an SQL condition: whether `restriction` (an alias of the table restrictions) is in force, by the database's
 * clock. Must match `is_current` in the database.
 */
export function isCurrent(restriction: string): string {
  return `(${restriction}.until is null or ${restriction}.until > statement_timestamp())`;
}

/**
 * Returns an SQL condition: whether a restriction of this kind is in force for the user `person` in the chat `chat`
 * (expressions for their ids). The condition costs one lookup by key. For bans, this check is needed only in public
 * channels, because banned users are not members.
 */
export function isRestricted(kind: Exclude<RestrictionKind, 'SUSPENSION'>, chat: string, person: string): string {
  return `exists (select from restrictions r
    where r.chat_id = ${chat} and r.user_id = ${person} and r.kind = '${kind}' and ${isCurrent('r')})`;
}

/**
 * Returns an SQL expression for the time at which the mute of the user `person` in the chat `chat` ends (expressions
 * for their ids). It is null if the user is not muted. The expression costs one lookup by key.
 */
export function mutedUntil(chat: string, person: string): string {
  return `(select r.until from restrictions r
    where r.chat_id = ${chat} and r.user_id = ${person} and r.kind = 'MUTE' and ${isCurrent('r')})`;
}

/**
 * Deletes up to `limit` restrictions that have expired, and returns how many it deleted. They no longer have any
 * effect, so deleting them causes neither an event nor an audit entry. Raw SQL, for `skip locked`: nodes that prune at
 * the same time do not wait for each other. Compares with the statement's start time, because PostgreSQL cannot use an
 * index for a comparison with a clock that advances during the statement.
 */
export async function pruneRestrictions(client: Queryable, limit: number): Promise<number> {
  const { rowCount } = await client.query(
    `delete from restrictions where id = any (array(
      select id from restrictions where until < statement_timestamp() limit $1 for update skip locked))`,
    [limit],
  );
  return rowCount ?? 0;
}
