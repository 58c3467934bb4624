import type { Db, Queryable } from '../postgres/client.ts';
import { defineLoader } from '../postgres/loader.ts';
import { isCurrent } from '../postgres/restriction.ts';
import { Forbidden } from '../errors.ts';

/**
 * A suspension that is in effect. `until`: when the suspension ends automatically; null if it does not end
 * automatically. `reason`: the reason shown to the user.
 */
export type Suspension = { since: Date; until: Date | null; reason: string | null };

/**
 * Loads the suspension of each user by the user's id; null for a user who is not suspended. The database's clock
 * determines whether a suspension has ended.
 */
export const suspensionOf = defineLoader({
  load: async ({ pool }: Db, userIds: readonly bigint[]): Promise<(Suspension | null)[]> => {
    const found = await readSuspensions(pool, userIds);
    return userIds.map((userId) => found.get(userId) ?? null);
  },
});

/** Throws Forbidden, with the suspension's `until` and `reason`, if the user is suspended. */
export async function refuseSuspended(client: Queryable, userId: bigint): Promise<void> {
  const suspension = (await readSuspensions(client, [userId])).get(userId);
  if (suspension !== undefined) throw new Forbidden('This account is suspended.', suspension);
}

/** Returns an SQL condition: whether `person` (a user id) is suspended now. */
export function isSuspended(person: string): string {
  return `exists (select from restrictions suspension
    where suspension.user_id = ${person} and suspension.kind = 'SUSPENSION' and ${isCurrent('suspension')})`;
}

/** Raw SQL, for the database's clock, which is also used when a session is opened. */
async function readSuspensions(client: Queryable, userIds: readonly bigint[]): Promise<Map<bigint, Suspension>> {
  const { rows } = await client.query<Suspension & { userId: bigint }>(
    `select user_id as "userId", created_at as since, until, reason from restrictions r
    where user_id = any ($1) and kind = 'SUSPENSION' and ${isCurrent('r')}`,
    [userIds],
  );
  return new Map(rows.map(({ userId, ...suspension }) => [userId, suspension]));
}
