import { createSecret, hashSecret, type SecretKind } from '../core/secret.ts';
import type { Queryable } from '../postgres/client.ts';

/** How long a code is valid. The text of the emails states the same time. */
const lifetime = '1 hour';

/** The purpose of a code. Each kind of code is accepted only for its own purpose. */
export type CodeKind = 'SIGN_UP' | 'VERIFICATION' | 'PASSWORD_RESET' | 'EMAIL_CHANGE';

/** A code's purpose, the address that it goes to, and the user or the pending sign-up that it belongs to. */
export type CodeOwner = { kind: CodeKind; email: string } & (
  | { userId: bigint; signUpId: null }
  | { userId: null; signUpId: bigint }
);

/** Creates a 256-bit code and stores its hash. The code itself is sent in the email and stored nowhere else. */
export async function createCode(client: Queryable, owner: CodeOwner): Promise<string> {
  const { secret, hash } = createSecret(secretKindOf(owner.kind));
  await client.query(
    'insert into mail_codes (code_hash, kind, email, user_id, sign_up_id) values ($1, $2, $3, $4, $5)',
    [hash, owner.kind, owner.email, owner.userId, owner.signUpId],
  );
  return secret;
}

/** Returns the owner of a password-reset code that is still valid; null for any other string. */
export function findResetCode(client: Queryable, code: string): Promise<CodeOwner | null> {
  return find(client, hashSecret('passwordReset', code));
}

/** Returns the owner of an address-verification code that is still valid; null for any other string. */
export function findVerificationCode(client: Queryable, code: string): Promise<CodeOwner | null> {
  return find(client, hashSecret('emailVerification', code));
}

async function find(client: Queryable, hash: Buffer | null): Promise<CodeOwner | null> {
  if (hash === null) return null;
  // Raw SQL, like the next statement, so that a code expires by the database's clock, which also set `created_at`.
  const { rows } = await client.query<CodeOwner>(
    `select kind, email, user_id as "userId", sign_up_id as "signUpId"
    from mail_codes where code_hash = $1 and created_at > clock_timestamp() - $2::interval`,
    [hash, lifetime],
  );
  return rows[0] ?? null;
}

/**
 * Uses up a code that was found, and returns whether it was still valid. If two requests use the same code, only one of
 * them succeeds.
 */
export async function useCode(client: Queryable, { kind }: CodeOwner, code: string): Promise<boolean> {
  const { rowCount } = await client.query(
    'delete from mail_codes where code_hash = $1 and created_at > clock_timestamp() - $2::interval',
    [hashSecret(secretKindOf(kind), code), lifetime],
  );
  return rowCount === 1;
}

/** Deletes a code whose email will not be sent. */
export async function discardCode(client: Queryable, { kind }: CodeOwner, code: string): Promise<void> {
  await client.query('delete from mail_codes where code_hash = $1', [hashSecret(secretKindOf(kind), code)]);
}

/** Deletes up to `limit` expired codes, and returns how many it deleted. */
export async function pruneCodes(client: Queryable, limit: number): Promise<number> {
  const { rowCount } = await client.query(
    `delete from mail_codes where code_hash = any (array(
      select code_hash from mail_codes where created_at < now() - $1::interval limit $2 for update skip locked))`,
    [lifetime, limit],
  );
  return rowCount ?? 0;
}

function secretKindOf(kind: CodeKind): SecretKind {
  return kind === 'PASSWORD_RESET' ? 'passwordReset' : 'emailVerification';
}
