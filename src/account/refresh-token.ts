import { createSecret } from '../core/secret.ts';
import type { Queryable } from '../postgres/client.ts';
import { sessionLifetime } from './live-session.ts';

/** How long a used refresh token still gets a fresh pair: for a lost answer, and for two tabs that refresh at once. */
const reuseGrace = '20 seconds';

/** What a refresh token is good for. A `stolen` one was used before, longer ago than an honest client would repeat it. */
export type RefreshVerdict =
  | { kind: 'unknown' }
  | { kind: 'good' | 'stolen' | 'outlived'; userId: bigint; sessionId: bigint };

/** Judges the token inside a transaction. Its session stays locked until the end, so of two at once one comes first. */
export async function judgeRefreshToken(client: Queryable, tokenHash: Buffer): Promise<RefreshVerdict> {
  const session = await client.query<{ id: bigint; user_id: bigint; is_outlived: boolean }>(
    `select id, user_id, last_used_at < now() - $2::interval as is_outlived
    from sessions where id = (select session_id from refresh_tokens where token_hash = $1)
    for update`,
    [tokenHash, sessionLifetime],
  );
  // A statement of its own: it sees what the one that held the lock before has done to the token.
  const token = await client.query<{ is_stolen: boolean }>(
    `select coalesce(used_at < clock_timestamp() - $2::interval, false) as is_stolen
    from refresh_tokens where token_hash = $1 and coalesce(used_at, created_at) > now() - $3::interval`,
    [tokenHash, reuseGrace, sessionLifetime],
  );
  const [owner, found] = [session.rows[0], token.rows[0]];
  if (owner === undefined) return { kind: 'unknown' };
  const whose = { userId: owner.user_id, sessionId: owner.id };
  if (owner.is_outlived) return { kind: 'outlived', ...whose };
  if (found === undefined) return { kind: 'unknown' };
  return { kind: found.is_stolen ? 'stolen' : 'good', ...whose };
}

/** Uses the token up and gives the next one; the session was active just now. */
export async function rotateRefreshToken(client: Queryable, sessionId: bigint, tokenHash: Buffer): Promise<string> {
  const next = createSecret('refreshToken');
  await client.query(
    // The time of the first use stays: who repeats a token does not make its grace longer.
    `with used as (
      update refresh_tokens set used_at = coalesce(used_at, clock_timestamp()) where token_hash = $2
    ), active as (
      update sessions set last_used_at = clock_timestamp() where id = $1
    )
    insert into refresh_tokens (session_id, token_hash) values ($1, $3)`,
    [sessionId, tokenHash, next.hash],
  );
  return next.secret;
}
