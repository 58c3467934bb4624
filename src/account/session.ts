import { inTransaction, type Db, type Queryable, type Transaction } from '../postgres/client.ts';
import type { Prisma, Session } from '../postgres/generated/prisma/client.ts';
import { InvalidCredentials, NotFound } from '../errors.ts';
import { sessionLifetime, sessionLifetimeMs, type LiveSessions } from './live-session.ts';
import type { RateLimits } from '../core/rate-limit.ts';
import { createSecret, hashSecret } from '../core/secret.ts';
import { refuseSuspended } from './suspension.ts';
import { judgeRefreshToken, rotateRefreshToken } from './refresh-token.ts';
import type { AccessTokens } from './token.ts';
import type { AccessTokenKeys } from './token-key.ts';
import type { Asker, SessionAsker } from '../core/asker.ts';

/** The dependencies of the functions that handle sessions. */
export type Sessions = {
  db: Db;
  keys: AccessTokenKeys;
  tokens: AccessTokens;
  sessions: LiveSessions;
  limits: RateLimits;
};

/** What a device receives when its user signs in: both tokens, and the asker that these tokens authenticate. */
export type SignedIn = { accessToken: string; accessTokenExpiresAt: Date; refreshToken: string; asker: SessionAsker };

/**
 * What a transaction did to sessions: the session that it opened, with its refresh token, and the sessions that it
 * ended.
 */
export type OpenedSession = { userId: bigint; sessionId: bigint; refreshToken: string; endedIds: bigint[] };

/**
 * The session in another system from which a session here was started, as identified by its token. `expiresAt`: null
 * for a session with its own refresh tokens, which does not end when the foreign token expires.
 */
export type SessionOrigin = { issuer: string; sessionKey: string; issuedAt: Date; expiresAt: Date | null };

/** A session to be opened. `origin` is null for a session that was not started with a token from another system. */
export type NewSession = { userId: bigint; userAgent: string | null; origin?: SessionOrigin | null };

/** How many sessions a user can have. Opening another session ends the session that has been idle the longest. */
export const maxSessionsPerPerson = 100;
/** How many characters of the user agent are stored with a session. */
export const maxUserAgentLength = 256;

/**
 * Opens a session with a refresh token, inside a transaction that has locked the user's row. Call `handOver` after the
 * commit.
 */
export async function openSession(client: Queryable, person: NewSession): Promise<OpenedSession> {
  const refreshToken = createSecret('refreshToken');
  const { sessionId, endedIds } = await insertSession(client, person, refreshToken.hash);
  return { userId: person.userId, sessionId, refreshToken: refreshToken.secret, endedIds };
}

/**
 * Inserts a session and ends the user's sessions beyond the limit, inside a transaction that has locked the user's row.
 * `tokenHash` is the hash of the session's first refresh token; null for a session that foreign tokens keep alive.
 * After the commit, call `forget` for all of the sessions. Throws Forbidden for a suspended user, with the suspension's
 * `until` and `reason`.
 */
export async function insertSession(
  client: Queryable,
  { userId, userAgent, origin = null }: NewSession,
  tokenHash: Buffer | null,
): Promise<{ sessionId: bigint; endedIds: bigint[] }> {
  await refuseSuspended(client, userId);
  // Ends the sessions beyond the limit. Raw SQL, so that one statement finds, deletes and returns the sessions.
  const ended = await client.query<{ id: bigint }>('select id from end_idle_sessions($1, $2) as id', [
    userId,
    maxSessionsPerPerson - 1,
  ]);
  // Inserts the session and its first refresh token. Raw SQL, to send one statement instead of two while the user's row
  // is locked.
  const { rows } = await client.query<{ id: bigint }>(
    `with opened as (
      insert into sessions (user_id, user_agent, issuer, foreign_key, token_issued_at, expires_at)
      values ($1, $2, $3, $4, $5, $6) returning id
    ), issued as (
      insert into refresh_tokens (session_id, token_hash) select id, $7::bytea from opened where $7 is not null
    )
    select id from opened`,
    [
      userId,
      readUserAgent(userAgent),
      origin?.issuer ?? null,
      origin?.sessionKey ?? null,
      origin?.issuedAt ?? null,
      origin?.expiresAt ?? null,
      tokenHash,
    ],
  );
  const [opened] = rows;
  if (opened === undefined) throw new Error('PostgreSQL did not return the id of the new session');
  return { sessionId: opened.id, endedIds: ended.rows.map(({ id }) => id) };
}

/** Issues the tokens of a session after the commit. From then on, this node rejects the ended sessions. */
export async function handOver({ tokens, sessions }: Sessions, opened: OpenedSession): Promise<SignedIn> {
  for (const id of [opened.sessionId, ...opened.endedIds]) sessions.forget(id);
  const { accessToken, asker } = await tokens.issue(opened.userId, opened.sessionId);
  return { accessToken, accessTokenExpiresAt: asker.expiresAt, refreshToken: opened.refreshToken, asker };
}

/**
 * Exchanges a refresh token for the next pair of tokens. The caller does not have to be authenticated. A refresh token
 * can be used once. Using it again within 20 s returns the same new refresh token. Using it later ends its session,
 * because the token must have been stolen. Throws InvalidCredentials for an invalid token, and RateLimited for a
 * session that refreshes too often.
 */
export async function refreshSession(sessions: Sessions, refreshToken: string): Promise<SignedIn> {
  const tokenHash = hashSecret('refreshToken', refreshToken);
  if (tokenHash === null) throw notGood();
  const outcome = await inTransaction(sessions.db, async (transaction) => {
    const verdict = await judgeRefreshToken(transaction, tokenHash);
    if (verdict.kind === 'stolen' || verdict.kind === 'outlived') {
      await transaction.prisma.session.delete({ where: { id: verdict.sessionId } });
    }
    if (verdict.kind !== 'good') return verdict;
    await sessions.limits.take('refreshes', { sessionId: verdict.sessionId });
    const presented = { secret: refreshToken, hash: tokenHash };
    const next = await rotateRefreshToken(transaction, sessions.keys, { ...verdict, refreshToken: presented });
    return next === null ? ({ kind: 'unknown' } as const) : { ...verdict, next };
  });
  if ('next' in outcome) return handOver(sessions, { ...outcome, refreshToken: outcome.next, endedIds: [] });
  if (outcome.kind !== 'unknown') sessions.sessions.forget(outcome.sessionId);
  throw notGood();
}

/** Ends the asker's session. Its tokens become invalid, and its streams end. */
export async function signOut({ db, sessions }: Sessions, asker: Asker): Promise<void> {
  await endSession(db, { id: asker.sessionId, userId: asker.userId });
  sessions.forget(asker.sessionId);
}

/**
 * Ends one session. Returns false if it had already ended. Runs in a transaction, which is retried after a deadlock,
 * because a trigger may end another session of the user at the same time.
 */
async function endSession(db: Db, own: { id: bigint; userId: bigint }): Promise<boolean> {
  const { count } = await inTransaction(db, ({ prisma }) => prisma.session.deleteMany({ where: own }));
  return count > 0;
}

/** Lists the asker's sessions, most recently used first. `query` contains what a field selects from each session. */
export function listSessions(
  { db }: Pick<Sessions, 'db'>,
  asker: Asker,
  query: Pick<Prisma.SessionFindManyArgs, 'select' | 'include'> = {},
): Promise<Session[]> {
  return db.prisma.session.findMany({
    ...query,
    where: liveSessionsOf(asker),
    orderBy: [{ lastUsedAt: 'desc' }, { id: 'desc' }],
  });
}

/** Finds the sessions with these ids that belong to the asker, in no particular order. */
export function findSessions(
  { db }: Pick<Sessions, 'db'>,
  asker: Asker,
  sessionIds: readonly bigint[],
): Promise<Session[]> {
  return db.prisma.session.findMany({ where: { id: { in: [...sessionIds] }, ...liveSessionsOf(asker) } });
}

/**
 * Selects the asker's live sessions. A session has ended if it has not been used for 30 days (even if `pruneSessions`
 * has not deleted it yet) or if its foreign tokens have expired. Excludes the sessions of API keys and webhooks,
 * because the user did not sign in to them.
 */
function liveSessionsOf({ userId }: Asker): Prisma.SessionWhereInput {
  const now = Date.now();
  return {
    userId,
    apiKeyId: null,
    webhookId: null,
    lastUsedAt: { gt: new Date(now - sessionLifetimeMs) },
    OR: [{ expiresAt: null }, { expiresAt: { gt: new Date(now) } }],
  };
}

/**
 * Ends the session of one of the asker's devices, which may be the current one, and returns it. Throws NotFound for any
 * other session, such as that of a webhook.
 */
export async function revokeSession({ db, sessions }: Sessions, asker: Asker, sessionId: bigint): Promise<Session> {
  const own = { id: sessionId, userId: asker.userId, apiKeyId: null, webhookId: null };
  const session = await db.prisma.session.findFirst({ where: own });
  // Of two concurrent requests, only one ends the session.
  if (session === null || !(await endSession(db, own))) throw new NotFound('You have no such session.');
  sessions.forget(session.id);
  return session;
}

/**
 * Deletes up to `batchSize` sessions that have not been refreshed for 30 days, except the sessions of webhooks. Also
 * deletes up to `batchSize` refresh tokens that were used, or created if they are unused, more than 30 days ago.
 * Returns the larger of the two counts. Call it again if that count is `batchSize`.
 */
export async function pruneSessions({ db }: Pick<Sessions, 'db'>, batchSize = 500): Promise<number> {
  // Deletes dead sessions. Raw SQL, like the next statement, for `skip locked`, so that nodes that prune at the same
  // time do not wait for each other.
  const sessions = await db.pool.query(
    `delete from sessions where id = any (array(
      select id from sessions where last_used_at < now() - $1::interval and webhook_id is null limit $2 for update skip locked))`,
    [sessionLifetime, batchSize],
  );
  // Deletes refresh tokens that can no longer be used and can no longer reveal a theft.
  const tokens = await db.pool.query(
    `delete from refresh_tokens where token_hash = any (array(
      select token_hash from refresh_tokens where coalesce(used_at, created_at) < now() - $1::interval
      limit $2 for update skip locked))`,
    [sessionLifetime, batchSize],
  );
  return Math.max(sessions.rowCount ?? 0, tokens.rowCount ?? 0);
}

/** Deletes the matching sessions inside a transaction that has locked the user's row. Returns their ids. */
export async function endSessions({ prisma }: Transaction, where: Prisma.SessionWhereInput): Promise<bigint[]> {
  const sessions = await prisma.session.findMany({ where, select: { id: true } });
  const ids = sessions.map(({ id }) => id);
  await prisma.session.deleteMany({ where: { id: { in: ids } } });
  return ids;
}

function readUserAgent(userAgent: string | null): string | null {
  const text = [
    ...(userAgent ?? '')
      .slice(0, maxUserAgentLength * 2)
      .toWellFormed()
      .replaceAll('\0', ''),
  ];
  return text.slice(0, maxUserAgentLength).join('').trim() || null;
}

function notGood(): InvalidCredentials {
  return new InvalidCredentials('The refresh token is not valid: sign in again.');
}
