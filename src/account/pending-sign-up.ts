import { maxNameLength } from '../core/text.ts';
import { InvalidCredentials } from '../errors.ts';
import type { CodeOwner } from '../mail/mail-code.ts';
import type { Queryable } from '../postgres/client.ts';
import { listUsernames, maxSuffixLength } from './username.ts';

/** A sign-up whose fields are valid, with the hash of its password. */
export type CheckedSignUp = { username: string; email: string; displayName: string | null; passwordHash: string };

/**
 * Keeps the sign-up until its address is confirmed, and queues the email about it. It reserves neither the name nor
 * the address, and takes the same time for an address that has an account.
 */
export async function keepSignUp(client: Queryable, signUp: CheckedSignUp): Promise<void> {
  // One statement, so that there is never a sign-up without its email, which housekeeping would delete. Raw SQL.
  await client.query(
    `with kept as (
      insert into pending_sign_ups (username, email, display_name, password_hash) values ($1, $2, $3, $4) returning id
    )
    insert into mails (kind, sign_up_id) select 'SIGN_UP', id from kept`,
    [signUp.username, signUp.email, signUp.displayName, signUp.passwordHash],
  );
}

/**
 * Creates the account of a sign-up whose code has just been used. A name that was taken in the meantime gets a number.
 * Returns false if the sign-up has gone. Throws InvalidCredentials if the address has an account by now.
 */
export async function completeSignUp(client: Queryable, { signUpId }: CodeOwner): Promise<boolean> {
  const { rows } = await client.query<CheckedSignUp>(
    `delete from pending_sign_ups where id = $1
    returning username, email, display_name as "displayName", password_hash as "passwordHash"`,
    [signUpId],
  );
  const [signUp] = rows;
  if (signUp === undefined) return false;
  const shortened = signUp.username.slice(0, maxNameLength - maxSuffixLength);
  const numbered = listUsernames(shortened).filter((each) => each !== shortened);
  for (const username of [signUp.username, ...numbered]) {
    if (await createUser(client, { ...signUp, username })) return true;
    if (await isTaken(client, signUp.email)) throw hasAccount();
  }
  throw new Error('no free username was found');
}

/** The refusal of a code whose address has another account by now. */
export function hasAccount(): InvalidCredentials {
  return new InvalidCredentials('The address has an account by now.');
}

/** Returns false if the name or the address is taken. */
async function createUser(client: Queryable, signUp: CheckedSignUp): Promise<boolean> {
  // Raw SQL: Prisma cannot express `on conflict`, without which a taken name would fail the transaction.
  const { rowCount } = await client.query(
    `with person as (
      insert into users (username, email, display_name, email_verified_at) values ($1, $2, $3, clock_timestamp())
      on conflict do nothing returning id
    )
    insert into credentials (user_id, password_hash) select id, $4 from person`,
    [signUp.username, signUp.email, signUp.displayName, signUp.passwordHash],
  );
  return rowCount === 1;
}

async function isTaken(client: Queryable, email: string): Promise<boolean> {
  const { rowCount } = await client.query('select from users where fold(email) = fold($1)', [email]);
  return rowCount !== 0;
}

/**
 * Deletes up to `limit` sign-ups whose email is neither queued nor has a code that is still valid, and returns how
 * many.
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
