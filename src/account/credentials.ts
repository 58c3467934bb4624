import type { Db, Queryable } from '../postgres/client.ts';
import type { Asker } from '../core/asker.ts';
import { InvalidCredentials } from '../errors.ts';
import type { Guesser, PasswordHasher } from './password.ts';
import type { Counted, RateLimits } from '../core/rate-limit.ts';

/** What someone who signs in is known by. `passwordHash` is null for an account without a password. */
export type Credentials = { id: bigint; username: string; email: string; passwordHash: string | null };

/** Those of the one account `u` for which `condition` holds with `$1` as that value; null when there is none. */
export async function findCredentials(db: Db, condition: string, value: bigint | string): Promise<Credentials | null> {
  const { rows } = await db.pool.query<Credentials>(
    `select u.id, u.username, u.email, c.password_hash as "passwordHash"
    from users u left join credentials c on c.user_id = u.id
    where u.deleted_at is null and ${condition}`,
    [value],
  );
  return rows[0] ?? null;
}

/** A password that is given for an account; `counted` is whose share of wrong ones it uses. */
export type Guess = { hash: string | null; password: string; counted: Counted; guesser: Guesser };

/** Compares, and counts the wrong ones. It counts when the hash's turn comes, so that many at once get no extra guess. */
export async function verifyGuess(
  { limits, passwords }: { limits: RateLimits; passwords: PasswordHasher },
  { hash, password, counted, guesser }: Guess,
): Promise<{ isRight: boolean; newHash: string | null }> {
  const onTurn = () => limits.take('guesses', counted);
  const verdict = await passwords.verify(hash, password, { ...guesser, onTurn });
  if (verdict.isRight) await limits.forgive('guesses', counted);
  return verdict;
}

/** The same for a password that a live session gives again. What strangers guess elsewhere counts nothing here. */
export function verifyAgain(
  accounts: { limits: RateLimits; passwords: PasswordHasher },
  { userId, sessionId }: Asker,
  { hash, password }: Pick<Guess, 'hash' | 'password'>,
): Promise<{ isRight: boolean; newHash: string | null }> {
  const guesser = { person: String(userId), isKnown: true };
  return verifyGuess(accounts, { hash, password, counted: { userId, sessionId }, guesser });
}

/**
 * Locks the person's row until the end of the transaction, so that their sessions are opened and ended one after the
 * other. Throws InvalidCredentials when the password that was compared is not theirs any more.
 */
export async function lockCredentials(client: Queryable, { id, passwordHash }: Credentials): Promise<void> {
  const { rows } = await client.query<{ password_hash: string }>(
    // Both rows: of one that is only read, the hash would be the one from before the wait.
    `select c.password_hash from users u join credentials c on c.user_id = u.id
    where u.id = $1 for no key update of u, c`,
    [id],
  );
  if (rows[0]?.password_hash !== passwordHash)
    throw new InvalidCredentials('The password was changed in the meantime.');
}

/** Replaces the hash of a user's password. The caller holds their credentials. */
export async function storePassword(client: Queryable, userId: bigint, passwordHash: string): Promise<void> {
  await client.query('update credentials set password_hash = $2 where user_id = $1', [userId, passwordHash]);
}
