import { inTransaction, type Queryable } from '../postgres/client.ts';
import { InvalidCredentials, Unauthenticated } from '../errors.ts';
import type { Accounts } from './account.ts';
import { logoutMemory, subjectKey, type LogoutToken } from './foreign-token.ts';
import { lockToken } from './foreign-user.ts';
import { refuseTokens } from './token-refusal.ts';

/**
 * Ends the sessions that another system reports as ended (OpenID Connect Back-Channel Logout 1.0). These are either the
 * sessions here that belong to one session of that system, even if its first token has yet to arrive, or all sessions
 * that a subject has here through that issuer. The sessions' streams end at the position of the logout in the log.
 * Tokens issued before the logout cannot revive the sessions. Throws InvalidCredentials if the token is invalid or was
 * used before, and IssuerUnavailable if the issuer's keys cannot be fetched.
 */
export async function endForeignSessions(accounts: Accounts, logoutToken: string): Promise<void> {
  const logout = await verify(accounts, logoutToken);
  const { issuer, subject, sessionKey } = logout;
  // A token names a session, a subject, or both.
  const refused = sessionKey ?? subjectKey(subject ?? '');
  const endedIds = await inTransaction({ pool: accounts.db.pool }, async (client) => {
    await useOnce(client, logout);
    await lockToken(client, issuer, [refused, ...(subject === null ? [] : [subjectKey(subject)])]);
    const ended = await deleteSessions(client, logout);
    await refuseTokens(client, { issuer, refused, isForever: sessionKey !== null });
    return ended;
  });
  for (const id of endedIds) accounts.sessions.forget(id);
}

async function verify({ foreign }: Accounts, token: string): Promise<LogoutToken> {
  try {
    return await foreign.tokens.verifyLogout(token);
  } catch (error) {
    if (error instanceof Unauthenticated) throw new InvalidCredentials(error.message, { cause: error });
    throw error;
  }
}

async function useOnce(client: Queryable, { issuer, jti }: LogoutToken): Promise<void> {
  // Records the use of the token. Raw SQL, for `on conflict`, which makes the second of two simultaneous requests wait
  // for the first.
  const { rowCount } = await client.query(
    `insert into used_logout_tokens (issuer, jti, expires_at) values ($1, $2, now() + $3::interval)
    on conflict do nothing`,
    [issuer, jti, logoutMemory],
  );
  if (rowCount === 0) throw new InvalidCredentials('The token was used before.');
}

async function deleteSessions(client: Queryable, { issuer, subject, sessionKey }: LogoutToken): Promise<bigint[]> {
  // Locks the subject's user, like all code that opens sessions or ends all of a user's sessions. Raw SQL, because
  // Prisma cannot lock rows.
  await client.query(
    `select from users where id = (select user_id from identities where issuer = $1 and subject = $2)
    for no key update`,
    [issuer, subject],
  );
  // Deletes the session with the named key, and sessions of the subject's user from that issuer. If the token names no
  // session, all of those sessions are deleted. Otherwise, only those whose tokens name no session are deleted, because
  // any of these could be the session to end. Raw SQL, to return the deleted rows.
  const { rows } = await client.query<{ id: bigint }>(
    `delete from sessions where id in (
      select id from sessions where issuer = $1 and foreign_key = $3
      union all
      select s.id from identities i join sessions s on s.user_id = i.user_id and s.issuer = i.issuer
      where i.issuer = $1 and i.subject = $2 and ($3::text is null or not starts_with(s.foreign_key, 'sid:'))
    ) returning id`,
    [issuer, subject, sessionKey],
  );
  return rows.map(({ id }) => id);
}
