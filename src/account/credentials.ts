import type { Db, Queryable } from '../postgres/client.ts';
import { InvalidCredentials } from '../errors.ts';
import type { PasswordHasher } from './password.ts';
import type { RateLimit } from '../core/rate-limit.ts';

/** What somebody is known by who signs in. */
export type Credentials = { id: bigint; username: string; email: string; passwordHash: string };

/** Those of the one account for which `condition` holds with `$1` as that value; null when there is none. */
export async function findCredentials(db: Db, condition: string, value: bigint | string): Promise<Credentials | null> {
  const { rows } = await db.pool.query<Credentials>(
    `select id, username, email, password_hash as "passwordHash" from users where deleted_at is null and ${condition}`,
    [value],
  );
  return rows[0] ?? null;
}

/** Compares, and counts the wrong ones. It counts when the hash's turn comes, so that many at once get no extra guess. */
export async function verifyGuess(
  { guesses, passwords }: { guesses: RateLimit; passwords: PasswordHasher },
  guesser: string,
  hash: string | null,
  password: string,
): Promise<{ isRight: boolean; newHash: string | null }> {
  const verdict = await passwords.verify(hash, password, () => guesses.take(guesser));
  if (verdict.isRight) guesses.forgive(guesser);
  return verdict;
}

/**
 * Locks the person's row until the end of the transaction, so that their sessions are opened and ended one after the
 * other. Throws InvalidCredentials when the password that was compared is not theirs any more.
 */
export async function lockCredentials(client: Queryable, { id, passwordHash }: Credentials): Promise<void> {
  const { rows } = await client.query<{ password_hash: string }>(
    'select password_hash from users where id = $1 for no key update',
    [id],
  );
  if (rows[0]?.password_hash !== passwordHash) throw new InvalidCredentials('The password has just been changed.');
}
