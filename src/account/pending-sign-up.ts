import { maxNameLength } from '../core/text.ts';
import { Forbidden, InvalidCredentials } from '../errors.ts';
import type { CodeOwner } from '../mail/mail-code.ts';
import type { Queryable } from '../postgres/client.ts';
import { applyInvite } from './sign-up-invite.ts';
import { listUsernames, maxSuffixLength } from './username.ts';

/** A sign-up whose fields are valid, with the hash of its password. */
export type CheckedSignUp = {
  username: string;
  email: string;
  displayName: string | null;
  inviteCode: string | null;
  passwordHash: string;
};

/**
 * Stores the sign-up until its address is confirmed, and queues the email about it. Reserves neither the name nor the
 * address. Takes just as long if the address already has an account.
 */
export async function keepSignUp(client: Queryable, signUp: CheckedSignUp): Promise<void> {
  // Raw SQL, to write both rows in one statement. Housekeeping would delete a sign-up that has no email.
  await client.query(
    `with kept as (
      insert into pending_sign_ups (username, email, display_name, password_hash, invite_code)
      values ($1, $2, $3, $4, $5) returning id
    )
    insert into mails (kind, sign_up_id) select 'SIGN_UP', id from kept`,
    [signUp.username, signUp.email, signUp.displayName, signUp.passwordHash, signUp.inviteCode],
  );
}

/**
 * Creates the account of a sign-up whose code has just been used. If the name was taken in the meantime, a number is
 * added to it. Uses the sign-up's invite, if it has one. Returns false if the sign-up no longer exists. Throws
 * InvalidCredentials if the address now has an account, or if the invite no longer lets anyone in.
 */
export async function completeSignUp(client: Queryable, { signUpId }: CodeOwner): Promise<boolean> {
  const { rows } = await client.query<CheckedSignUp>(
    `delete from pending_sign_ups where id = $1
    returning username, email, display_name as "displayName", password_hash as "passwordHash",
      invite_code as "inviteCode"`,
    [signUpId],
  );
  const [signUp] = rows;
  if (signUp === undefined) return false;
  const shortened = signUp.username.slice(0, maxNameLength - maxSuffixLength);
  const numbered = listUsernames(shortened).filter((each) => each !== shortened);
  for (const username of [signUp.username, ...numbered]) {
    const userId = await createUser(client, { ...signUp, username });
    if (userId !== null) {
      await enterByInvite(client, signUp.inviteCode, userId);
      return true;
    }
    if (await isTaken(client, signUp.email)) throw hasAccount();
  }
  throw new Error('no free username was found');
}

/** Returns the error for a code whose address already belongs to another account. */
export function hasAccount(): InvalidCredentials {
  return new InvalidCredentials('The address already has an account.');
}

async function enterByInvite(client: Queryable, code: string | null, userId: bigint): Promise<void> {
  try {
    await applyInvite(client, code, userId);
  } catch (error) {
    // InvalidCredentials is the only refusal that verifyEmail declares.
    if (error instanceof Forbidden) throw new InvalidCredentials(error.message);
    throw error;
  }
}

/** Creates the user and returns their id; null if the name or the address is taken. */
async function createUser(client: Queryable, signUp: CheckedSignUp): Promise<bigint | null> {
  // Raw SQL, because Prisma cannot express `on conflict`. Without it, a taken name would fail the transaction.
  const { rows } = await client.query<{ id: bigint }>(
    `with person as (
      insert into users (username, email, display_name, email_verified_at) values ($1, $2, $3, clock_timestamp())
      on conflict do nothing returning id
    )
    insert into credentials (user_id, password_hash) select id, $4 from person returning user_id as id`,
    [signUp.username, signUp.email, signUp.displayName, signUp.passwordHash],
  );
  return rows[0]?.id ?? null;
}

async function isTaken(client: Queryable, email: string): Promise<boolean> {
  const { rowCount } = await client.query('select from users where fold(email) = fold($1)', [email]);
  return rowCount !== 0;
}

/**
 * Deletes up to `limit` sign-ups that have neither a queued email nor a valid code, and returns how many it deleted.
 */
export async function pruneSignUps(client: Queryable, limit: number): Promise<number> {
  const { rowCount } = await client.query(
    `delete from pending_sign_ups where id = any (array(
      select id from pending_sign_ups s
      where not exists (select from mails where sign_up_id = s.id)
        and not exists (select from mail_codes where sign_up_id = s.id)
      limit $1 for update skip locked))`,
    [limit],
  );
  return rowCount ?? 0;
}
