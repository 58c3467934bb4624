import { createLru } from '../core/lru.ts';
import type { SessionAsker } from '../core/asker.ts';
import { inTransaction, type Queryable } from '../postgres/client.ts';
import { sqlStateOf } from '../postgres/sql-state.ts';
import { Forbidden, Unauthenticated } from '../errors.ts';
import { subjectKey, type ForeignToken, type ForeignTokens } from './foreign-token.ts';
import { enter } from './foreign-user.ts';
import { insertSession, type SessionOrigin, type Sessions } from './session.ts';
import { isRefused, keepRefusal } from './token-refusal.ts';

const maxVerifiedTokens = 10_000;
/**
 * How often a transaction is retried because a username or an email address was taken between the check and the write.
 */
const maxRepeats = 3;
/** How long after its issue a token from another system can take the place of a password, in ms. */
export const proofMs = 5 * 60_000;

/** Accepts tokens from other systems in place of access tokens. */
export class ForeignSessions {
  readonly tokens: ForeignTokens;
  /**
   * Caches verified tokens, so that each token is verified and extends its session only once. The session is checked
   * on every request.
   */
  readonly #verified = createLru<string, SessionAsker>(maxVerifiedTokens);

  constructor(tokens: ForeignTokens) {
    this.tokens = tokens;
  }

  /** Returns whether to pass the token to `verify` because it claims to come from an issuer. */
  takes(token: string): boolean {
    return this.tokens.isOn && (this.#verified.has(token) || this.tokens.claimsIssuer(token));
  }

  /**
   * Returns the asker that the token identifies. Creates the user on their first visit. A new token of the same session
   * extends the session. Throws IssuerUnavailable, and Unauthenticated if the token is invalid, expired or refused.
   * Does not check that the session is live.
   */
  async verify(sessions: Sessions, token: string, userAgent: string | null): Promise<SessionAsker> {
    const asker = this.#verified.get(token) ?? (await visit(sessions, await this.tokens.verify(token), userAgent));
    if (asker.expiresAt.getTime() <= Date.now()) {
      this.#verified.delete(token);
      throw new Unauthenticated('The token has expired: request a new one from its issuer.');
    }
    this.#verified.set(token, asker);
    return asker;
  }
}

/** Finds or creates the user and the session of a token that this node sees for the first time. */
async function visit({ db, sessions }: Sessions, token: ForeignToken, userAgent: string | null): Promise<SessionAsker> {
  const known = await findSession(db.pool, token);
  if (known === 'REFUSED') {
    await keepRefusal(db.pool, token);
    throw refused();
  }
  if (known !== null) return askerOf(token, known);
  const opened = await repeatConflicts(() =>
    inTransaction({ pool: db.pool }, async (client) => {
      const { userId } = await enter(client, token);
      const sessionId = await extendSession(client, userId, token);
      if (sessionId !== null) return { userId, sessionId, endedIds: [] };
      // The session may have been ended while `extendSession` waited for it.
      if (await isRefused(client, token)) throw refused();
      const origin = originOf(token, { isKept: true });
      return { userId, ...(await insertSession(client, { userId, userAgent, origin }, null).catch(refuseSuspended)) };
    }),
  );
  for (const id of [opened.sessionId, ...opened.endedIds]) sessions.forget(id);
  return askerOf(token, opened);
}

/** A user and the session that a token belongs to. */
type Found = { userId: bigint; sessionId: bigint };

/**
 * Finds the session of a token that some node has already seen; returns null if anything has to be written. Raw SQL,
 * because the first request with each token on each node runs it.
 */
async function findSession(client: Queryable, token: ForeignToken): Promise<Found | 'REFUSED' | null> {
  const { rows } = await client.query<{ isRefused: boolean; userId: bigint | null; sessionId: bigint | null }>({
    name: 'foreign_session',
    text: `select
      exists (
        select from token_refusals where issuer = $1 and refused in ($2, $3) and issued_until >= $4
      ) as "isRefused", s.user_id as "userId", s.id as "sessionId"
    from (select) as always left join (
      identities i join sessions s on s.issuer = i.issuer and s.user_id = i.user_id
        and s.foreign_key = $2 and s.expires_at >= $5
    ) on i.issuer = $1 and i.subject = $6 and i.claims_issued_at >= $4`,
    values: [token.issuer, token.sessionKey, subjectKey(token.subject), token.issuedAt, token.expiresAt, token.subject],
  });
  const [row] = rows;
  if (row?.isRefused === true) return 'REFUSED';
  return row?.userId == null || row.sessionId === null ? null : { userId: row.userId, sessionId: row.sessionId };
}

/** Extends the token's session until the token expires. Returns null if there is no such session. */
async function extendSession(client: Queryable, userId: bigint, token: ForeignToken): Promise<bigint | null> {
  // Raw SQL, for the database's clock and for `greatest`.
  const { rows } = await client.query<{ id: bigint }>(
    `update sessions set expires_at = greatest(expires_at, $4), token_issued_at = greatest(token_issued_at, $5),
      last_used_at = clock_timestamp()
    where issuer = $1 and foreign_key = $2 and user_id = $3 and expires_at is not null returning id`,
    [token.issuer, token.sessionKey, userId, token.expiresAt, token.issuedAt],
  );
  return rows[0]?.id ?? null;
}

/**
 * Describes the token that started a session, as the session stores it. `isKept`: whether the issuer’s tokens keep the
 * session alive, so that it ends when they expire.
 */
export function originOf(token: ForeignToken, { isKept }: { isKept: boolean }): SessionOrigin {
  const { issuer, sessionKey, issuedAt, expiresAt } = token;
  return { issuer, sessionKey, issuedAt, expiresAt: isKept ? expiresAt : null };
}

function askerOf({ issuedAt, expiresAt }: ForeignToken, { userId, sessionId }: Found): SessionAsker {
  return { kind: 'SESSION', userId, sessionId, expiresAt, provenUntil: new Date(issuedAt.getTime() + proofMs) };
}

/** Retries a transaction that failed because a unique value was taken in the meantime. */
export async function repeatConflicts<T>(work: () => Promise<T>): Promise<T> {
  for (let repeats = 0; ; repeats += 1) {
    try {
      return await work();
    } catch (error) {
      if (sqlStateOf(error) !== '23505' || repeats >= maxRepeats) throw error;
    }
  }
}

/**
 * Turns the refusal of a suspended user into Unauthenticated, because a request with their token is not authenticated.
 * Only signInWithToken returns the end of and the reason for the suspension.
 */
function refuseSuspended(error: unknown): never {
  throw error instanceof Forbidden ? new Unauthenticated(error.message, { cause: error }) : error;
}

function refused(): Unauthenticated {
  return new Unauthenticated('The session has ended: sign in again.');
}
