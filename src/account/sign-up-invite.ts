import { useInvite } from '../chat/invite-use.ts';
import { findInviteByCode } from '../chat/invite.ts';
import { Forbidden, NotFound } from '../errors.ts';
import type { Queryable } from '../postgres/client.ts';
import type { SignUpRules } from './account.ts';

/**
 * Checks the invite of a sign-up, before the password is hashed. Throws Forbidden if a required invite is missing, or
 * if the invite lets no one in.
 */
export async function checkInvite(
  client: Queryable,
  { mode }: Pick<SignUpRules, 'mode'>,
  code: string | null,
): Promise<void> {
  if (code === null && mode === 'invite') throw new Forbidden('This server takes new users by invite only.');
  if (code !== null && (await findInviteByCode(client, code)) === null) throw unusable();
}

/**
 * Uses the invite for a new user, in the transaction that creates the user, and makes the user a member of the invite's
 * chat. Throws Forbidden if the invite no longer lets anyone in.
 */
export async function applyInvite(client: Queryable, code: string | null, userId: bigint): Promise<void> {
  if (code === null) return;
  try {
    await useInvite(client, code, userId);
  } catch (error) {
    if (error instanceof NotFound) throw unusable();
    throw error;
  }
}

function unusable(): Forbidden {
  return new Forbidden('The invite does not exist or is no longer valid.');
}
