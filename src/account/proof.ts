import type { Asker } from '../core/asker.ts';
import type { RateLimits } from '../core/rate-limit.ts';
import type { Db } from '../postgres/client.ts';
import { InvalidCredentials, Unauthenticated, type FieldError } from '../errors.ts';
import { verifyAgain, type Credentials } from './credentials.ts';
import { proofMs, type ForeignSessions } from './foreign-session.ts';
import { checkGivenPassword, type PasswordHasher } from './password.ts';
import { isRefused } from './token-refusal.ts';

/**
 * The proof of identity that an operation requires from a signed-in user. `secret` is null if the request's token is
 * the only proof.
 */
export type Proof = { user: Credentials; secret: string | null };

/** The description of a password argument in operations that ask for the password again. */
export const proofDescription =
  'Required if the account has a password. If it has none, send a token that was issued in the last ' +
  'five minutes, or omit this argument if such a token authenticates the request.';

/** The dependencies for verifying a proof. */
export type Verifier = { db: Db; limits: RateLimits; passwords: PasswordHasher; foreign: ForeignSessions };

/** If the account has a password, adds an error if the secret cannot be a password. */
export function checkGivenProof({ user, secret }: Proof, path: string[], errors: FieldError[]): void {
  if (user.passwordHash !== null) checkGivenPassword(secret ?? '', path, errors);
}

/**
 * Returns only if the asker proves, with the account's password, that they are the user of the account. For an account
 * without a password, the proof is a token that another system issued for the user in the last five minutes, either as
 * `secret` or as the token of the request. Otherwise, throws InvalidCredentials. Also throws RateLimited after too many
 * wrong attempts, and IssuerUnavailable if the issuer's keys cannot be fetched.
 */
export async function requireProof(verifier: Verifier, asker: Asker, { user, secret }: Proof): Promise<void> {
  if (user.passwordHash !== null) {
    const { isRight } = await verifyAgain(verifier, asker, { hash: user.passwordHash, password: secret ?? '' });
    if (!isRight) throw new InvalidCredentials('The password is wrong.');
    return;
  }
  const isProven =
    secret === null
      ? isRecent(asker.kind === 'SESSION' ? asker.provenUntil : undefined)
      : await provesUser(verifier, asker, secret);
  if (isProven) return;
  throw new InvalidCredentials(
    'The account has no password: send a token that was issued within the last five minutes.',
  );
}

async function provesUser({ db, limits, foreign }: Verifier, asker: Asker, secret: string): Promise<boolean> {
  const counted = { userId: asker.userId, sessionId: asker.sessionId };
  await limits.take('guesses', counted);
  try {
    const token = await foreign.tokens.verify(secret);
    if (!isRecent(new Date(token.issuedAt.getTime() + proofMs)) || (await isRefused(db.pool, token))) return false;
    const { issuer, subject } = token;
    const identity = await db.prisma.identity.findFirst({ where: { issuer, subject, userId: asker.userId } });
    if (identity === null) return false;
  } catch (error) {
    if (error instanceof Unauthenticated) return false;
    throw error;
  }
  await limits.forgive('guesses', counted);
  return true;
}

function isRecent(provenUntil: Date | undefined): boolean {
  return provenUntil !== undefined && provenUntil.getTime() > Date.now();
}
