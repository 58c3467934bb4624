import { inTransaction, type Db, type Queryable } from '../postgres/client.ts';
import type { Session } from '../postgres/generated/prisma/client.ts';
import { InvalidCredentials, NotFound } from '../errors.ts';
import { sessionLifetime, type LiveSessions } from './live-session.ts';
import type { RateLimits } from '../core/rate-limit.ts';
import { createSecret, hashSecret } from '../core/secret.ts';
import { judgeRefreshToken, rotateRefreshToken } from './refresh-token.ts';
import type { AccessTokens } from './token.ts';
import type { AccessTokenKeys } from './token-key.ts';
import type { Asker } from '../core/asker.ts';

/** What the verbs of sessions need. */
export type Sessions = {
  db: Db;
  keys: AccessTokenKeys;
  tokens: AccessTokens;
  sessions: LiveSessions;
  limits: RateLimits;
};

/** What a device gets that has signed in: both tokens, and whom they stand for. */
export type SignedIn = { accessToken: string; accessTokenExpiresAt: Date; refreshToken: string; asker: Asker };

/** What a transaction did to sessions: the one that the refresh token is of, and those that it ended. */
export type OpenedSession = { userId: bigint; sessionId: bigint; refreshToken: string; endedIds: bigint[] };

/** A person may be signed in on so many devices; past it, the one that was idle longest is signed out. */
/** The oldest ends when there would be more. */
export const maxSessionsPerPerson = 100;
/** Characters of a user agent that are kept with a session. */
export const maxUserAgentLength = 256;

const sessionColumns =
  'id, user_id as "userId", user_agent as "userAgent", created_at as "createdAt", last_used_at as "lastUsedAt"';

/** Opens a session, inside a transaction that has locked the person's row. `handOver` follows its commit. */
export async function openSession(
  client: Queryable,
  person: { userId: bigint; userAgent: string | null },
): Promise<OpenedSession> {
  const ended = await client.query<{ id: bigint }>(
    `delete from sessions where id in (
      select id from sessions where user_id = $1 order by last_used_at desc, id desc offset $2)
    returning id`,
    [person.userId, maxSessionsPerPerson - 1],
  );
  const refreshToken = createSecret('refreshToken');
  const opened = await client.query<{ session_id: bigint }>(
    `with opened as (
      insert into sessions (user_id, user_agent) values ($1, $2) returning id
    )
    insert into refresh_tokens (session_id, token_hash) select id, $3 from opened
    returning session_id`,
    [person.userId, readUserAgent(person.userAgent), refreshToken.hash],
  );
  const sessionId = opened.rows[0]?.session_id;
  if (sessionId === undefined) throw new Error('the session that was inserted did not come back');
  return {
    userId: person.userId,
    sessionId,
    refreshToken: refreshToken.secret,
    endedIds: ended.rows.map(({ id }) => id),
  };
}

/** After the commit: the ended sessions are over on this node at once, and the device gets its tokens. */
export async function handOver({ tokens, sessions }: Sessions, opened: OpenedSession): Promise<SignedIn> {
  for (const id of opened.endedIds) sessions.forget(id);
  const { accessToken, asker } = await tokens.issue(opened.userId, opened.sessionId);
  return { accessToken, accessTokenExpiresAt: asker.expiresAt, refreshToken: opened.refreshToken, asker };
}

/**
 * Exchanges a refresh token for the next pair; no one has to be signed in. A token is good for one use: one that comes
 * back within 20 s gets the same refresh token again, later its session ends, for one of the two who have it is a thief.
 * Throws InvalidCredentials for a token that is not good, RateLimited for a session that refreshes all the time.
 */
export async function refreshSession(sessions: Sessions, refreshToken: string): Promise<SignedIn> {
  const tokenHash = hashSecret('refreshToken', refreshToken);
  if (tokenHash === null) throw notGood();
  const outcome = await inTransaction(sessions.db, async (client) => {
    const verdict = await judgeRefreshToken(client, tokenHash);
    if (verdict.kind === 'stolen' || verdict.kind === 'outlived') {
      await client.query('delete from sessions where id = $1', [verdict.sessionId]);
    }
    if (verdict.kind !== 'good') return verdict;
    await sessions.limits.take('refreshes', { sessionId: verdict.sessionId });
    const presented = { secret: refreshToken, hash: tokenHash };
    const next = await rotateRefreshToken(client, sessions.keys, { ...verdict, refreshToken: presented });
    return next === null ? ({ kind: 'unknown' } as const) : { ...verdict, next };
  });
  if ('next' in outcome) return handOver(sessions, { ...outcome, refreshToken: outcome.next, endedIds: [] });
  if (outcome.kind !== 'unknown') sessions.sessions.forget(outcome.sessionId);
  throw notGood();
}

/** Ends the viewer's session: its tokens are good no more, and its streams end. */
export async function signOut({ db, sessions }: Sessions, asker: Asker): Promise<void> {
  await db.pool.query('delete from sessions where id = $1 and user_id = $2', [asker.sessionId, asker.userId]);
  sessions.forget(asker.sessionId);
}

/** Where the viewer is signed in, what was used last first. */
export async function listSessions({ db }: Pick<Sessions, 'db'>, asker: Asker): Promise<Session[]> {
  const { rows } = await db.pool.query<Session>(
    `select ${sessionColumns} from sessions where user_id = $1 and last_used_at > now() - $2::interval
    order by last_used_at desc, id desc`,
    [asker.userId, sessionLifetime],
  );
  return rows;
}

/** Ends one of the viewer's sessions, the current one too, and answers what it was. NotFound for any other. */
export async function revokeSession({ db, sessions }: Sessions, asker: Asker, sessionId: bigint): Promise<Session> {
  const { rows } = await db.pool.query<Session>(
    `delete from sessions where id = $1 and user_id = $2 returning ${sessionColumns}`,
    [sessionId, asker.userId],
  );
  const [ended] = rows;
  if (ended === undefined) throw new NotFound('You have no such session.');
  sessions.forget(ended.id);
  return ended;
}

/**
 * Deletes some of the sessions that were not refreshed for 30 days, and of the tokens that were used longer ago than
 * that. Answers how many there were: call it again while there are `batchSize`.
 */
export async function pruneSessions({ db }: Pick<Sessions, 'db'>, batchSize = 500): Promise<number> {
  const sessions = await db.pool.query(
    `delete from sessions where id = any (array(
      select id from sessions where last_used_at < now() - $1::interval limit $2 for update skip locked))`,
    [sessionLifetime, batchSize],
  );
  const tokens = await db.pool.query(
    `delete from refresh_tokens where token_hash = any (array(
      select token_hash from refresh_tokens where coalesce(used_at, created_at) < now() - $1::interval
      limit $2 for update skip locked))`,
    [sessionLifetime, batchSize],
  );
  return Math.max(sessions.rowCount ?? 0, tokens.rowCount ?? 0);
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
