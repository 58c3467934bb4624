import { lockStaff } from '../admin/staff.ts';
import { mayConnectTo } from '../core/address-range.ts';
import { addressIn } from '../core/egress.ts';
import type { Caller } from '../core/asker.ts';
import { Forbidden, InvalidInput, NotFound, type FieldError } from '../errors.ts';
import { advisoryLocks } from '../postgres/advisory-lock.ts';
import { inTransaction, type Db, type Transaction } from '../postgres/client.ts';
import { Prisma, type Webhook } from '../postgres/generated/prisma/client.ts';
import { newestFirst, toPage, type Page, type PageRequest } from '../postgres/page.ts';
import { constraintOf } from '../postgres/sql-state.ts';
import { createSigningSecret, type SecretBox } from './signing-secret.ts';
import { maxConnections } from './webhook-post.ts';

/** In characters. */
export const maxUrlLength = 2_048;
/** The length of a subscription document, in bytes. */
export const maxDocumentBytes = 65_536;
/**
 * The maximum number of webhooks on a server. Each webhook has its own connection, so that no webhook waits for
 * another.
 */
const maxWebhooks = maxConnections;
/** How long the previous secret remains in use after a rotation, as a PostgreSQL interval. */
const formerSecretLife = '1 day';

/**
 * The parts of the server that webhooks need. `allowsPrivate` specifies whether receivers may be on private networks.
 */
export type WebhookSettings = { secretBox: SecretBox; allowsPrivate: boolean };

type Changing = { db: Db; webhooks: WebhookSettings };

/** A subscription document that the API has checked, and its variables. */
export type KeptDocument = { document: string; variables: Record<string, unknown> | null };

/** A webhook to create. It starts after `cursor`. */
export type NewWebhook = KeptDocument & { url: string; cursor: string };

/** A webhook and its secret, formatted for the receiver's configuration. */
export type CreatedWebhook = { webhook: Webhook; secret: string };

/**
 * Creates a webhook, which runs with the caller's rights. Only server admins, and programs with WEBHOOKS, may call
 * this. Throws Forbidden, or InvalidInput if the URL is not acceptable or there are too many webhooks.
 */
export async function createWebhook(
  { db, webhooks }: Changing,
  caller: Caller,
  { url: given, document, variables, cursor }: NewWebhook,
): Promise<CreatedWebhook> {
  const url = readUrl(given, webhooks);
  const { bytes, text } = createSigningSecret();
  const webhook = await asOwner(() =>
    inTransaction(
      db,
      async (transaction) => {
        const { ownerId = null, apiKeyId = null } = await lockOwner(transaction, caller);
        // Webhooks are created one at a time, so that two requests cannot both take the last free slot. Raw SQL,
        // because Prisma cannot take an advisory lock.
        await transaction.query('select pg_advisory_xact_lock($1)', [advisoryLocks['new webhook']]);
        if ((await transaction.prisma.webhook.count()) >= maxWebhooks) throw tooMany();
        // Raw SQL, because Prisma does not report which trigger rule has rejected a row.
        const { rows } = await transaction.query<{ id: bigint }>(
          `insert into webhooks (owner_id, api_key_id, url, document, variables, cursor, secret)
          values ($1, $2, $3, $4, $5, $6, $7) returning id`,
          [ownerId, apiKeyId, url, document, variables, cursor, webhooks.secretBox.seal(bytes)],
        );
        return transaction.prisma.webhook.findUniqueOrThrow({ where: { id: rows[0]?.id ?? 0n } });
      },
      caller,
    ),
  );
  return { webhook, secret: text };
}

/**
 * The changes to a webhook. Properties that are undefined remain unchanged. `cursor` is the position from which to
 * continue.
 */
export type WebhookChange = {
  webhookId: bigint;
  url?: string | undefined;
  document?: string | undefined;
  variables?: Record<string, unknown> | null | undefined;
  isPaused?: boolean | undefined;
  cursor?: string | undefined;
};

/**
 * Changes a webhook. Only the owner of a webhook may change which events it delivers, to which URL, and from which
 * event on, because the webhook runs with the owner's rights. Any admin may pause and resume it. After a change, the
 * attempts of a failing webhook are counted from the start again. Throws InvalidInput, NotFound, Forbidden.
 */
export async function updateWebhook(
  { db, webhooks }: Changing,
  caller: Caller,
  { webhookId, isPaused, ...change }: WebhookChange,
): Promise<Webhook> {
  const { url: given, document, variables, cursor } = change;
  const url = given === undefined ? undefined : readUrl(given, webhooks);
  return asOwner(() =>
    inTransaction(
      db,
      async (transaction) => {
        const webhook = await lockWebhook(transaction, caller, webhookId);
        const isOwnChange = [url, document, variables, cursor].some((each) => each !== undefined);
        if (isOwnChange && !isOwn(caller, webhook)) throw ownersOnly();
        const isResumed = isPaused === false && webhook.status === 'PAUSED';
        // Raw SQL, for the same reason as above.
        if (isResumed) await transaction.query(`update webhooks set status = 'ACTIVE' where id = $1`, [webhookId]);
        return transaction.prisma.webhook.update({
          where: { id: webhookId },
          data: {
            ...(url !== undefined && { url, ...(url !== webhook.url && { isPinged: false }) }),
            ...(document !== undefined && { document }),
            ...(variables !== undefined && { variables: toJson(variables) }),
            ...(cursor !== undefined && { cursor }),
            ...(isPaused === true && { status: 'PAUSED' }),
            // The new version tells the node that delivers the webhook to stop, and to continue with the changed
            // webhook.
            version: { increment: 1 },
            ...((isOwnChange || isResumed) && { failures: 0, nextAttemptAt: new Date(0) }),
          },
        });
      },
      caller,
    ),
  );
}

/**
 * Gives a webhook a new secret. The old secret is also used for signing for one more day. Only its owner may call this.
 * Throws NotFound, Forbidden.
 */
export async function rotateWebhookSecret(
  { db, webhooks }: Changing,
  caller: Caller,
  webhookId: bigint,
): Promise<CreatedWebhook> {
  const { bytes, text } = createSigningSecret();
  const webhook = await inTransaction(
    db,
    async (transaction) => {
      const known = await lockWebhook(transaction, caller, webhookId);
      if (!isOwn(caller, known)) throw ownersOnly();
      // Raw SQL, for the database's clock.
      await transaction.query(
        `update webhooks set former_secret = secret, secret = $2,
          former_secret_until = clock_timestamp() + $3::interval
        where id = $1`,
        [webhookId, webhooks.secretBox.seal(bytes), formerSecretLife],
      );
      return transaction.prisma.webhook.findUniqueOrThrow({ where: { id: webhookId } });
    },
    caller,
  );
  return { webhook, secret: text };
}

/** Deletes a webhook. Only its owner and admins may call this. Throws NotFound, Forbidden. */
export function deleteWebhook(db: Db, caller: Caller, webhookId: bigint): Promise<Webhook> {
  return inTransaction(
    db,
    async (transaction) => {
      await lockWebhook(transaction, caller, webhookId);
      return transaction.prisma.webhook.delete({ where: { id: webhookId } });
    },
    caller,
  );
}

/**
 * Returns a page of all webhooks, newest first. The key of a cursor is the webhook's id. The caller of this function
 * must have checked that the user may list them.
 */
export async function listWebhooks({ prisma }: Db, page: PageRequest): Promise<Page<Webhook>> {
  const { id, rest } = newestFirst(page);
  return toPage(await prisma.webhook.findMany({ where: { id }, ...rest }), page);
}

/**
 * Returns those webhooks with these ids that the caller may see. An admin may see all webhooks, and other callers may
 * see only those of their own key.
 */
export async function findWebhooks(
  { prisma }: Db,
  caller: Caller,
  { webhookIds, isAdmin }: { webhookIds: readonly bigint[]; isAdmin: boolean },
): Promise<Webhook[]> {
  const found = await prisma.webhook.findMany({ where: { id: { in: [...webhookIds] } } });
  return isAdmin ? found : found.filter((webhook) => caller.kind === 'KEY' && isOwn(caller, webhook));
}

/** Whether the webhook runs with the caller's own rights. */
function isOwn(caller: Caller, { ownerId, apiKeyId }: Webhook): boolean {
  return caller.kind === 'KEY'
    ? isOwnProgram(caller) && apiKeyId === caller.keyId
    : ownerId !== null && ownerId === caller.userId;
}

/** Whether the caller is a program that acts for itself or as its bot, with a key that may have webhooks. */
function isOwnProgram(caller: Caller): boolean {
  return caller.kind === 'KEY' && !('isActing' in caller && caller.isActing) && caller.scopes.has('WEBHOOKS');
}

/** Returns the owner of a webhook that the caller creates, and locks it. Throws Forbidden. */
async function lockOwner(
  transaction: Pick<Transaction, 'query'>,
  caller: Caller,
): Promise<{ ownerId?: bigint; apiKeyId?: bigint }> {
  if (caller.kind === 'KEY') {
    if (isOwnProgram(caller)) return { apiKeyId: caller.keyId };
    // A webhook that belonged to the program's user would outlive the key, and have more rights than the key's scopes.
    throw new Forbidden('This API key lacks the scope WEBHOOKS, or acts as a user.');
  }
  await lockStaff(transaction, caller, 'manageWebhooks');
  return { ownerId: caller.userId };
}

/**
 * Returns a webhook that the caller may at least pause: a webhook of the calling program itself, or any webhook if the
 * caller is an admin or a key with ADMIN. Locks the webhook until the transaction ends. Throws NotFound, Forbidden.
 */
async function lockWebhook(transaction: Transaction, caller: Caller, webhookId: bigint): Promise<Webhook> {
  const found = await transaction.prisma.webhook.findUnique({ where: { id: webhookId } });
  if (!isOwnProgram(caller)) await lockStaff(transaction, caller, 'manageWebhooks');
  else if (found === null || !isOwn(caller, found)) {
    // A key without ADMIN must not learn about other owners' webhooks.
    if (caller.kind !== 'KEY' || !caller.scopes.has('ADMIN')) throw noSuchWebhook();
    await lockStaff(transaction, caller, 'manageWebhooks');
  }
  // Code that takes rights away from an owner locks the owner's row first, so this code must lock it first, too.
  if (found?.ownerId != null) await transaction.query('select from users where id = $1 for share', [found.ownerId]);
  await transaction.query('select from webhooks where id = $1 for no key update', [webhookId]);
  const webhook = await transaction.prisma.webhook.findUnique({ where: { id: webhookId } });
  if (webhook === null) throw noSuchWebhook();
  return webhook;
}

/**
 * Turns a refusal by the database into Forbidden, because the webhook's owner may just have lost their rights.
 */
async function asOwner<Result>(work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    if (constraintOf(error) !== 'a_webhook_has_rights') throw error;
    throw new Forbidden('The owner of the webhook no longer has the rights that it runs with.');
  }
}

function noSuchWebhook(): NotFound {
  return new NotFound('There is no such webhook.');
}

function ownersOnly(): Forbidden {
  return new Forbidden('The webhook runs with the rights of its owner. Others can only pause, resume and delete it.');
}

function tooMany(): InvalidInput {
  return new InvalidInput([
    { path: ['url'], code: 'TOO_MANY', message: `this server already has ${maxWebhooks} webhooks` },
  ]);
}

const unlessAllowed = ', unless the server has WEBHOOK_ALLOW_PRIVATE=true';

/** Validates and normalizes the URL of a receiver. Throws InvalidInput. */
function readUrl(text: string, { allowsPrivate }: Pick<WebhookSettings, 'allowsPrivate'>): string {
  const refuse = (code: FieldError['code'], message: string) => new InvalidInput([{ path: ['url'], code, message }]);
  const url = URL.parse(text);
  if (text.length > maxUrlLength || (url?.href.length ?? 0) > maxUrlLength)
    throw refuse('TOO_LONG', `must be at most ${maxUrlLength} characters long`);
  if (url === null || !['https:', 'http:'].includes(url.protocol) || url.hostname === '')
    throw refuse('MALFORMED', 'must be an https: URL');
  if (url.username !== '' || url.password !== '')
    throw refuse('NOT_ALLOWED', 'must not contain a user name or a password');
  url.hash = '';
  if (allowsPrivate) return url.href;
  if (url.protocol !== 'https:') throw refuse('NOT_ALLOWED', `must be an https: URL${unlessAllowed}`);
  const address = addressIn(url);
  if (address !== null && !mayConnectTo(address.address, []))
    throw refuse('NOT_ALLOWED', `must be a public address${unlessAllowed}`);
  return url.href;
}

function toJson(variables: Record<string, unknown> | null): Prisma.InputJsonValue | typeof Prisma.DbNull {
  return variables === null ? Prisma.DbNull : (variables as Prisma.InputJsonObject);
}
