import type { Db, Queryable, Transaction } from '../postgres/client.ts';
import { defineLoader } from '../postgres/loader.ts';
import type { Asker } from '../core/asker.ts';
import { InvalidCredentials, Unauthenticated } from '../errors.ts';
import { visiblePeople } from '../chat/visibility.ts';
import type { Guesser, PasswordHasher } from './password.ts';
import type { Counted, RateLimits } from '../core/rate-limit.ts';

/**
 * An account's sign-in credentials. `email` and `passwordHash` are null for an account without an address or a
 * password.
 */
export type Credentials = { id: bigint; username: string; email: string | null; passwordHash: string | null };

/** Returns the credentials of the account with that email address, ignoring case; null if there is none. */
export async function findCredentialsByEmail(db: Db, email: string): Promise<Credentials | null> {
  // Raw SQL, because Prisma cannot express fold(), the function that the index on the email address uses.
  const { rows } = await db.pool.query<Credentials>(
    `select u.id, u.username, u.email, c.password_hash as "passwordHash"
    from users u left join credentials c on c.user_id = u.id
    where u.deleted_at is null and fold(u.email) = fold($1)`,
    [email],
  );
  return rows[0] ?? null;
}

/** Returns the asker's credentials. Throws Unauthenticated if the account has been erased. */
export async function requireOwnCredentials(db: Db, asker: Asker): Promise<Credentials> {
  const user = await db.prisma.user.findFirst({
    where: { id: asker.userId, ...visiblePeople },
    select: { id: true, username: true, email: true, credentials: { select: { passwordHash: true } } },
  });
  if (user === null) throw new Unauthenticated('The account has been deleted.');
  const { credentials, ...person } = user;
  return { ...person, passwordHash: credentials?.passwordHash ?? null };
}

/** Loads whether each user has a password. */
export const hasPassword = defineLoader({
  load: async ({ prisma }: Db, userIds: readonly bigint[]): Promise<boolean[]> => {
    const found = await prisma.credentials.findMany({
      where: { userId: { in: [...userIds] } },
      select: { userId: true },
    });
    const known = new Set(found.map(({ userId }) => userId));
    return userIds.map((userId) => known.has(userId));
  },
});

/** A password entered for an account. Wrong passwords count against the limit for `counted`. */
export type Guess = { hash: string | null; password: string; counted: Counted; guesser: Guesser };

/**
 * Compares the password. Counts each guess just before the comparison, so that concurrent requests get no extra
 * guesses. A correct password resets the count.
 */
export async function verifyGuess(
  { limits, passwords }: { limits: RateLimits; passwords: PasswordHasher },
  { hash, password, counted, guesser }: Guess,
): Promise<{ isRight: boolean; newHash: string | null }> {
  const onTurn = async () => void (await limits.take('guesses', counted));
  const verdict = await passwords.verify(hash, password, { ...guesser, onTurn });
  if (verdict.isRight) await limits.forgive('guesses', counted);
  return verdict;
}

/**
 * Like `verifyGuess`, for a password that a signed-in user enters again. Guesses made outside this session do
 * not use up its limit.
 */
export function verifyAgain(
  accounts: { limits: RateLimits; passwords: PasswordHasher },
  { userId, sessionId }: Asker,
  { hash, password }: Pick<Guess, 'hash' | 'password'>,
): Promise<{ isRight: boolean; newHash: string | null }> {
  const guesser = { person: String(userId), isKnown: true };
  return verifyGuess(accounts, { hash, password, counted: { userId, sessionId }, guesser });
}

/** The user's password was changed, set or removed after it was compared. */
export class PasswordChanged extends InvalidCredentials {}

/**
 * Locks the user's row until the end of the transaction, so that concurrent transactions cannot open or end the user's
 * sessions at the same time. Throws PasswordChanged if the user's password has been changed, set or removed since it
 * was compared.
 */
export async function lockCredentials(client: Queryable, { id, passwordHash }: Credentials): Promise<void> {
  // Raw SQL, for the lock. All code that changes credentials takes this lock first.
  await client.query('select from users where id = $1 for no key update', [id]);
  // This is a separate statement, so that it sees what was committed during the wait.
  const { rows } = await client.query<{ password_hash: string }>(
    'select password_hash from credentials where user_id = $1',
    [id],
  );
  if ((rows[0]?.password_hash ?? null) !== passwordHash)
    throw new PasswordChanged('The password was changed in the meantime.');
}

/** Sets the hash of a user's password. The caller must hold the lock that `lockCredentials` takes. */
export async function storePassword({ prisma }: Transaction, userId: bigint, passwordHash: string): Promise<void> {
  await prisma.credentials.upsert({ where: { userId }, create: { userId, passwordHash }, update: { passwordHash } });
}
