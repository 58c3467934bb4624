import { Forbidden, InvalidCredentials, Unauthenticated } from '../errors.ts';
import { inTransaction } from '../postgres/client.ts';
import type { Accounts, Device } from './account.ts';
import { noteFailedSignIn } from './failed-sign-in.ts';
import { originOf, repeatConflicts } from './foreign-session.ts';
import { enter } from './foreign-user.ts';
import { handOver, openSession, type SignedIn } from './session.ts';

/**
 * Exchanges another system's token for a session that has its own refresh tokens and does not end when that token
 * expires. The session also ends when the other system reports that its own session has ended (`POST /auth/logout`).
 * Throws InvalidCredentials if the token is invalid, expired or refused, Forbidden if the user is suspended or the
 * server accepts no tokens from other systems, and RateLimited for a network with too many failures.
 */
export function signInWithToken(accounts: Accounts, input: Device & { token: string }): Promise<SignedIn> {
  const { address } = input;
  return noteFailedSignIn(accounts.noting, { method: 'token', address }, () => enterByToken(accounts, input));
}

async function enterByToken(
  accounts: Accounts,
  { token, userAgent, address }: Device & { token: string },
): Promise<SignedIn> {
  const { foreign, limits } = accounts;
  if (!foreign.tokens.isOn) throw new Forbidden('This server accepts no tokens from other systems.');
  await limits.take('failedSignIns', { address });
  try {
    const verified = await foreign.tokens.verify(token);
    const opened = await repeatConflicts(() =>
      inTransaction(accounts.db, async (transaction) => {
        const { userId } = await enter(transaction, verified);
        const origin = originOf(verified, { isKept: false });
        return openSession(transaction, { userId, userAgent, origin });
      }),
    );
    await limits.giveBack('failedSignIns', { address });
    return await handOver(accounts, opened);
  } catch (error) {
    if (error instanceof Unauthenticated) throw new InvalidCredentials(error.message, { cause: error });
    // The network did not cause this error, so the attempt does not count.
    await limits.giveBack('failedSignIns', { address });
    throw error;
  }
}
