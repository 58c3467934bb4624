import type { LiveSessions } from '../account/live-session.ts';
import type { Caller } from '../core/asker.ts';
import { maxDescriptionLength, readText } from '../core/text.ts';
import { InvalidInput, type FieldError } from '../errors.ts';
import { inTransaction, type Db, type Transaction } from '../postgres/client.ts';
import { lockTarget } from './staff.ts';

/**
 * A suspension to impose. `until`: when it ends automatically; null if it does not. `reason`: the reason shown to the
 * user.
 */
export type NewSuspension = { userId: bigint; until: Date | null; reason: string | null };

/** The dependencies for suspending a user. */
export type Suspending = { db: Db; sessions: LiveSessions };

/**
 * Suspends a user, or replaces their suspension. On every node, the user's sessions and streams end at the suspension's
 * position in the log, and no new session can be opened until the suspension ends. Allowed for moderators, who can
 * suspend users without a role, and for admins. Throws Forbidden, NotFound, and InvalidInput for an end in the past, a
 * bad reason or the asker's own id.
 */
export async function suspendUser({ db, sessions }: Suspending, caller: Caller, input: NewSuspension): Promise<void> {
  const suspension = readSuspension(input, caller.userId);
  const endedIds = await inTransaction(
    db,
    async (transaction) => {
      await lockTarget(transaction, caller, { action: 'suspendUser', userId: input.userId });
      return imposeSuspension(transaction, suspension, caller.userId);
    },
    caller,
  );
  for (const id of endedIds) sessions.forget(id);
}

/** Ends a suspension early, or does nothing if there is none. For staff who may suspend the user. */
export async function unsuspendUser({ db }: { db: Db }, caller: Caller, userId: bigint): Promise<void> {
  await inTransaction(
    db,
    async (transaction) => {
      await lockTarget(transaction, caller, { action: 'suspendUser', userId });
      await liftSuspension(transaction, userId);
    },
    caller,
  );
}

/**
 * Parses the input of a suspension. `ownId`: the id of the caller, who cannot suspend themselves; null for an operator.
 * Throws InvalidInput.
 */
export function readSuspension(input: NewSuspension, ownId: bigint | null): NewSuspension {
  const errors: FieldError[] = [];
  if (input.userId === ownId) errors.push({ path: ['userId'], code: 'NOT_ALLOWED', message: 'must not be your own' });
  if (input.until !== null && input.until.getTime() <= Date.now()) {
    errors.push({ path: ['until'], code: 'NOT_ALLOWED', message: 'must be in the future' });
  }
  const reason = input.reason === null ? null : readText(input.reason, ['reason'], maxDescriptionLength, errors);
  if (errors.length > 0) throw new InvalidInput(errors);
  return { ...input, reason };
}

/**
 * Writes the suspension inside a transaction that has locked the user's row, and returns the ids of the sessions that
 * it ended. A trigger ends the sessions, so that a suspension written with psql has the same effect.
 */
export async function imposeSuspension(
  transaction: Transaction,
  { userId, until, reason }: NewSuspension,
  by: bigint | null,
): Promise<bigint[]> {
  const sessions = await transaction.prisma.session.findMany({ where: { userId }, select: { id: true } });
  // Inserts or replaces the suspension. Raw SQL, because Prisma cannot express a conflict on a key that contains a
  // null.
  await transaction.query(
    `insert into restrictions as r (chat_id, user_id, kind, until, reason, created_by_id)
    values (null, $1, 'SUSPENSION', $2, $3, $4)
    on conflict (chat_id, user_id, kind) do update
    set until = excluded.until, reason = excluded.reason, created_by_id = excluded.created_by_id, created_at = clock_timestamp()`,
    [userId, until, reason, by],
  );
  return sessions.map(({ id }) => id);
}

/** Removes the user's suspension, inside a transaction. Returns whether there was one. */
export async function liftSuspension({ prisma }: Transaction, userId: bigint): Promise<boolean> {
  const { count } = await prisma.restriction.deleteMany({ where: { userId, kind: 'SUSPENSION' } });
  return count > 0;
}
