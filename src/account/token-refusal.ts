import type { Db, Queryable } from '../postgres/client.ts';
import { subjectKey, type ForeignToken } from './foreign-token.ts';

/**
 * Returns whether to refuse the token, although it has not expired, because its session has been ended or all sessions
 * of its subject have been ended.
 */
export async function isRefused(client: Queryable, token: ForeignToken): Promise<boolean> {
  // Finds a refusal of the token's session or subject. Raw SQL, like all statements that handle foreign tokens.
  const { rowCount } = await client.query(
    `select from token_refusals where issuer = $1 and refused = any ($2) and issued_until >= $3`,
    [token.issuer, [token.sessionKey, subjectKey(token.subject)], token.issuedAt],
  );
  return (rowCount ?? 0) > 0;
}

/**
 * Refuses the tokens of one session, or of all of a subject's sessions if `refused` is a `subjectKey`. This applies to
 * the tokens that have been issued so far, and also to later tokens if `isForever` is true. The database itself refuses
 * the tokens of a deleted session.
 */
export async function refuseTokens(
  client: Queryable,
  { issuer, refused, isForever }: { issuer: string; refused: string; isForever: boolean },
): Promise<void> {
  await client.query(`select refuse_tokens($1, $2, case when $3 then 'infinity' else clock_timestamp() end)`, [
    issuer,
    refused,
    isForever,
  ]);
}

/**
 * Extends a refusal for as long as the refused tokens keep arriving, because a device whose session was ended may keep
 * refreshing its tokens at the issuer.
 */
export async function keepRefusal(client: Queryable, { issuer, sessionKey }: ForeignToken): Promise<void> {
  // Writes at most once a day for each session. Raw SQL, to use the database's clock.
  await client.query(
    `update token_refusals set expires_at = now() + interval '31 days'
    where issuer = $1 and refused = $2 and expires_at < now() + interval '30 days'`,
    [issuer, sessionKey],
  );
}

/**
 * Deletes up to `limit` refusals, and up to `limit` used logout tokens, that are no longer needed. Returns the larger
 * count. Call this function again if the count is `limit`.
 */
export async function pruneRefusals({ db: { pool } }: { db: Db }, limit: number): Promise<number> {
  // Uses `skip locked`, so that nodes that prune at the same time do not wait for each other.
  const refusals = await pool.query(
    `delete from token_refusals where (issuer, refused) in (
      select issuer, refused from token_refusals where expires_at < now() limit $1 for update skip locked)`,
    [limit],
  );
  const logouts = await pool.query(
    `delete from used_logout_tokens where (issuer, jti) in (
      select issuer, jti from used_logout_tokens where expires_at < now() limit $1 for update skip locked)`,
    [limit],
  );
  return Math.max(refusals.rowCount ?? 0, logouts.rowCount ?? 0);
}
