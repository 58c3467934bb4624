import { deriveSecret, type NewSecret } from '../core/secret.ts';
import type { Queryable } from '../postgres/client.ts';
import { sessionLifetime } from './live-session.ts';
import { deriveKey, type AccessTokenKeys } from './token-key.ts';

/**
 * How long a used refresh token still returns the next one. This covers a lost response, and two tabs that refresh at
 * the same time.
 */
const reuseGrace = '20 seconds';

/**
 * The result of checking a refresh token. A `stolen` token was first used so long ago that an honest client would not
 * use it again.
 */
export type RefreshVerdict =
  | { kind: 'unknown' }
  | { kind: 'good' | 'stolen' | 'outlived'; userId: bigint; sessionId: bigint };

/**
 * Checks the token inside a transaction. Locks the token's session until the transaction ends, so that two requests
 * with the same token run one after the other.
 */
export async function judgeRefreshToken(client: Queryable, tokenHash: Buffer): Promise<RefreshVerdict> {
  // Locks the token's session. Raw SQL, because Prisma cannot lock rows.
  const session = await client.query<{ id: bigint; user_id: bigint; is_outlived: boolean }>(
    `select id, user_id, last_used_at < now() - $2::interval as is_outlived
    from sessions where id = (select session_id from refresh_tokens where token_hash = $1)
    for update`,
    [tokenHash, sessionLifetime],
  );
  // Reads the token in a separate statement, which sees the changes that the previous holder of the lock made to it.
  // Raw SQL, to measure the grace period of 20 s by the database's clock, which also wrote `used_at`.
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

/**
 * Marks the token as used, records the activity of the session, and returns the next token. The next token is derived
 * from this one, so a token that is used again within its grace period gets the same successor. A session therefore has
 * only one chain of tokens: if a thief and the owner both refresh, the slower of the two presents a token that has already
 * been used. Returns null if the token already has a different successor, because the signing key has changed in the
 * meantime.
 */
export async function rotateRefreshToken(
  client: Queryable,
  keys: AccessTokenKeys,
  { sessionId, refreshToken }: { sessionId: bigint; refreshToken: NewSecret },
): Promise<string | null> {
  const next = deriveSecret('refreshToken', deriveKey(keys, 'parley refresh tokens'), refreshToken.secret);
  const { rowCount } = await client.query(
    // Rotates the token. Raw SQL, to send only one statement while the session is locked, and to use the database's
    // clock. The time of the first use is not overwritten, so using a token again does not extend its grace period.
    `with active as (
      update sessions set last_used_at = clock_timestamp() where id = $1
    ), used as (
      update refresh_tokens set used_at = clock_timestamp() where token_hash = $2 and used_at is null
      returning session_id
    ), issued as (
      insert into refresh_tokens (session_id, token_hash) select session_id, $3 from used returning token_hash
    )
    select token_hash from issued
    union all select token_hash from refresh_tokens where token_hash = $3`,
    [sessionId, refreshToken.hash, next.hash],
  );
  return rowCount === 1 ? next.secret : null;
}
