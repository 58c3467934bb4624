import type { Queryable } from '../postgres/client.ts';
import type { MailKind } from '../postgres/generated/prisma/client.ts';

/**
 * An email to be queued. `email` is an address that does not belong to `userId`, or not yet; see the comment on the
 * column in prisma/migrations. `device` is how a device describes itself.
 */
export type NewMail = { kind: MailKind; email?: string; userId?: bigint; signUpId?: bigint; device?: string | null };

/** An email in the outbox. `attempts` is how many attempts to send it have failed. */
export type QueuedMail = {
  id: bigint;
  messageKey: string;
  kind: MailKind;
  email: string | null;
  userId: bigint | null;
  signUpId: bigint | null;
  device: string | null;
  /** The webhook that the email is about. */
  webhookId: bigint | null;
  createdAt: Date;
  attempts: number;
};

/** How long the server keeps trying to send an email, as a PostgreSQL interval. */
const patience = '3 days';

/**
 * Puts an email into the outbox; the email is sent if the transaction commits. The recipient, if there is one, is
 * determined only when the email is sent, so this call takes the same time for an address with an account and for an
 * address without one.
 */
export async function queueMail(client: Queryable, mail: NewMail): Promise<void> {
  // Raw SQL, like all statements of the outbox, because the layers below the API do not know about Prisma transactions.
  await client.query('insert into mails (kind, email, user_id, sign_up_id, device) values ($1, $2, $3, $4, $5)', [
    mail.kind,
    mail.email ?? null,
    mail.userId ?? null,
    mail.signUpId ?? null,
    mail.device ?? null,
  ]);
}

/** Returns the emails that are due; those that have waited longest come first. */
export async function findDueMails(client: Queryable, limit: number): Promise<QueuedMail[]> {
  const { rows } = await client.query<QueuedMail>({
    name: 'due_mails',
    text: `select id, message_key as "messageKey", kind, email, user_id as "userId", sign_up_id as "signUpId", device,
      webhook_id as "webhookId",
      created_at as "createdAt", attempts
    from mails where next_attempt_at <= statement_timestamp() order by next_attempt_at, id limit $1`,
    values: [limit],
  });
  return rows;
}

/** Returns whether the email is still queued; if so, the email stays in the outbox until the transaction ends. */
export async function holdMail(client: Queryable, { id }: Pick<QueuedMail, 'id'>): Promise<boolean> {
  const { rowCount } = await client.query('select from mails where id = $1 for no key update', [id]);
  return rowCount === 1;
}

/** Removes the email from the outbox. */
export async function removeMail(client: Queryable, { id }: Pick<QueuedMail, 'id'>): Promise<void> {
  await client.query('delete from mails where id = $1', [id]);
}

/** Counts a failed attempt. The next attempt is made after `delayMs` at the earliest. */
export async function postponeMail(client: Queryable, { id }: Pick<QueuedMail, 'id'>, delayMs: number): Promise<void> {
  await client.query(
    `update mails set attempts = attempts + 1, next_attempt_at = clock_timestamp() + $2 * interval '1 ms' where id = $1`,
    [id, delayMs],
  );
}

/**
 * Withdraws a user's queued emails of these kinds, and the codes in emails of these kinds that have already been sent.
 * The caller has locked the user's row, and the outbox creates codes only while it holds the same lock.
 */
export async function withdrawMails(client: Queryable, userId: bigint, kinds: readonly MailKind[]): Promise<void> {
  await client.query(
    `with withdrawn as (delete from mails where user_id = $1 and kind = any ($2::mail_kind[]))
    delete from mail_codes where user_id = $1 and kind = any ($2::mail_kind[])`,
    [userId, kinds],
  );
}

/** Deletes up to `limit` emails that could not be sent in three days, and returns how many it deleted. */
export async function pruneMails(client: Queryable, limit: number): Promise<number> {
  const { rowCount } = await client.query(
    `delete from mails where id = any (array(
      select id from mails where created_at < now() - $1::interval limit $2 for update skip locked))`,
    [patience, limit],
  );
  return rowCount ?? 0;
}

/**
 * Returns how many emails are in the outbox, and how long the oldest has been there, in seconds (0 if there are none).
 */
export async function measureOutbox(client: Queryable): Promise<{ count: number; oldestSeconds: number }> {
  const { rows } = await client.query<{ count: number; oldestSeconds: number }>(
    `select count(*)::int as count,
      coalesce(greatest(extract(epoch from clock_timestamp() - min(created_at)), 0), 0)::float8 as "oldestSeconds"
    from mails`,
  );
  return rows[0] ?? { count: 0, oldestSeconds: 0 };
}
