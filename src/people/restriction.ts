import type { Asker } from '../core/asker.ts';
import { maxDescriptionLength, readText } from '../core/text.ts';
import { InvalidInput, type FieldError } from '../errors.ts';
import type { Queryable } from '../postgres/client.ts';
import { columns } from '../postgres/columns.ts';
import type { Restriction, RestrictionKind } from '../postgres/generated/prisma/client.ts';

/**
 * A restriction to impose on a user in one chat or, if `chatId` is null (for a suspension), on the whole server.
 * `until` null: indefinitely. The user can read the `reason`.
 */
export type NewRestriction = {
  chatId: bigint | null;
  userId: bigint;
  kind: RestrictionKind;
  until: Date | null;
  reason: string | null;
};

/** Throws InvalidInput for `userId` if the asker is that user. */
export function refuseOwnId(asker: Asker, userId: bigint): void {
  if (userId !== asker.userId) return;
  throw new InvalidInput([{ path: ['userId'], code: 'NOT_ALLOWED', message: 'must not be your own' }]);
}

/**
 * Checks the reason that a moderator gives, which may have up to 1,000 characters, and returns it. Throws InvalidInput
 * for `reason` if it is not valid.
 */
export function readReason(reason: string | null): string | null {
  if (reason === null) return null;
  const errors: FieldError[] = [];
  const text = readText(reason, ['reason'], maxDescriptionLength, errors);
  if (errors.length > 0) throw new InvalidInput(errors);
  return text;
}

/**
 * Imposes a restriction, which replaces any restriction of the same kind that the user already has there. Triggers do
 * the rest: a ban ends the membership and the user's streams for the chat, a mute sends MemberUpdated, and the audit
 * log gets an entry. The caller must check that the asker may do this, and must call this in a transaction that names
 * the asker as its actor. Throws InvalidInput for an `until` that is not in the future by the clock of the database.
 */
export async function imposeRestriction(
  client: Queryable,
  asker: Asker,
  { chatId, userId, kind, until, reason }: NewRestriction,
): Promise<Restriction> {
  // Raw SQL: Prisma can neither use the database's clock nor upsert without races.
  const { rows } = await client.query<Restriction>(
    `insert into restrictions as r (chat_id, user_id, kind, until, reason, created_by_id)
    select $1::bigint, $2::bigint, $3::restriction_kind, $4::timestamptz, $5, $6::bigint
    where $4::timestamptz is null or $4 > clock_timestamp()
    on conflict (chat_id, user_id, kind) do update
    set until = excluded.until, reason = excluded.reason, created_by_id = excluded.created_by_id,
      created_at = excluded.created_at
    returning ${columns.restriction('r')}`,
    [chatId, userId, kind, until, reason, asker.userId],
  );
  if (rows[0] === undefined) {
    throw new InvalidInput([{ path: ['until'], code: 'NOT_ALLOWED', message: 'must be in the future' }]);
  }
  return rows[0];
}
