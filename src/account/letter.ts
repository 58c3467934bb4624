import type { Letter } from '../mail/delivery.ts';
import type { CodeKind } from '../mail/mail-code.ts';
import type { QueuedMail } from '../mail/outbox.ts';
import type { TemplateName } from '../mail/template.ts';
import type { Queryable } from '../postgres/client.ts';

/**
 * Decides who receives a queued email and what it says. This happens just before the email is sent, because its user
 * may have erased the account, verified the address or changed it in the meantime. Returns null if no one should
 * receive it. After the call, the caller's transaction holds a lock on the user, so that no code is created during a
 * change of their password.
 */
export function addressLetter(client: Queryable, mail: QueuedMail): Promise<Letter | null> {
  switch (mail.kind) {
    case 'SIGN_UP':
      return addressSignUp(client, mail);
    case 'PASSWORD_RESET':
      return addressPasswordReset(client, mail);
    case 'VERIFICATION':
      return addressVerification(client, mail);
    case 'EMAIL_CHANGE':
      return addressEmailChange(client, mail);
    case 'EMAIL_CHANGE_NOTICE':
      return addressEmailChangeNotice(client, mail);
    case 'NEW_SIGN_IN':
      return addressVerified(client, mail, 'new-sign-in');
    case 'DATA_EXPORT':
      return addressVerified(client, mail, 'data-export');
    case 'WEBHOOK_FAILING':
      return addressAlarm(client, mail);
    default:
      return mail.kind satisfies never;
  }
}

/**
 * Addresses the email to the address given in the sign-up or, if that address already has an account, to the account's
 * owner.
 */
async function addressSignUp(client: Queryable, { signUpId }: QueuedMail): Promise<Letter | null> {
  // Raw SQL, like the next statements, because Prisma cannot express fold() or a lock.
  const { rows } = await client.query<{ email: string; taken: string | null }>(
    `select s.email, u.email as taken
    from pending_sign_ups s left join users u on fold(u.email) = fold(s.email) where s.id = $1`,
    [signUpId],
  );
  const [signUp] = rows;
  if (signUp === undefined || signUpId === null) return null;
  if (signUp.taken !== null) return notice(signUp.taken, 'address-in-use');
  const code = { kind: 'SIGN_UP', email: signUp.email, userId: null, signUpId } as const;
  return { to: signUp.email, template: 'sign-up', code };
}

/**
 * Addresses the email to the address that the account stores, because the entered address may only look the same. An
 * account without a password does not get a password this way.
 */
async function addressPasswordReset(client: Queryable, { email }: QueuedMail): Promise<Letter | null> {
  const { rows } = await client.query<Owner>(
    `select u.id, u.email from users u join credentials c on c.user_id = u.id
    where fold(u.email) = fold($1) and u.deleted_at is null for no key update of u`,
    [email],
  );
  return withCode(rows[0], 'PASSWORD_RESET', 'password-reset');
}

async function addressVerification(client: Queryable, { userId }: QueuedMail): Promise<Letter | null> {
  const owner = await lockOwner(client, userId);
  return owner?.isVerified === true ? null : withCode(owner, 'VERIFICATION', 'verification');
}

/** Addresses the email to the new address or, if another account has that address, to the owner of that account. */
async function addressEmailChange(client: Queryable, { userId, email }: QueuedMail): Promise<Letter | null> {
  const owner = await lockOwner(client, userId);
  if (owner === null || email === null) return null;
  const { rows } = await client.query<{ email: string }>(
    'select email from users where fold(email) = fold($1) and id <> $2',
    [email, owner.id],
  );
  if (rows[0] !== undefined) return notice(rows[0].email, 'address-in-use');
  return withCode({ id: owner.id, email }, 'EMAIL_CHANGE', 'email-change');
}

async function addressEmailChangeNotice(client: Queryable, { userId, email }: QueuedMail): Promise<Letter | null> {
  const owner = await lockOwner(client, userId);
  return owner === null || email === null ? null : notice(email, 'email-change-notice');
}

/**
 * Addresses the email only to a verified address. An unverified address may belong to someone else, who must not learn
 * what the user does.
 */
async function addressVerified(
  client: Queryable,
  { userId }: QueuedMail,
  template: 'new-sign-in' | 'data-export',
): Promise<Letter | null> {
  const owner = await lockOwner(client, userId);
  return owner === null || owner.email === null || !owner.isVerified ? null : notice(owner.email, template);
}

/** Addresses the alert to a server admin, if the webhook still fails. */
async function addressAlarm(client: Queryable, { userId, webhookId }: QueuedMail): Promise<Letter | null> {
  // Raw SQL, for the lock.
  const { rows } = await client.query<{ email: string; url: string }>(
    `select u.email, w.url from users u join webhooks w on w.id = $2 and w.status = 'FAILING'
    where u.id = $1 and u.server_role = 'ADMIN' and u.deleted_at is null and u.email_verified_at is not null
    for no key update of u`,
    [userId, webhookId],
  );
  const [alarm] = rows;
  return alarm === undefined ? null : { ...notice(alarm.email, 'webhook-failing'), receiver: new URL(alarm.url).host };
}

type Owner = { id: bigint; email: string | null };

/** Locks and returns the user, unless they have erased their account. */
async function lockOwner(client: Queryable, userId: bigint | null): Promise<(Owner & { isVerified: boolean }) | null> {
  const { rows } = await client.query<Owner & { isVerified: boolean }>(
    `select id, email, email_verified_at is not null as "isVerified"
    from users where id = $1 and deleted_at is null for no key update`,
    [userId],
  );
  return rows[0] ?? null;
}

function notice(to: string, template: TemplateName): Letter {
  return { to, template, code: null };
}

function withCode(
  owner: Owner | null | undefined,
  kind: Exclude<CodeKind, 'SIGN_UP'>,
  template: TemplateName,
): Letter | null {
  if (owner == null || owner.email === null) return null;
  return { to: owner.email, template, code: { kind, email: owner.email, userId: owner.id, signUpId: null } };
}
