import type { LiveKeys } from '../account/live-key.ts';
import type { Caller } from '../core/asker.ts';
import { scopes as allScopes, type Scope } from '../core/scope.ts';
import { createSecret } from '../core/secret.ts';
import { maxNameLength, readName } from '../core/text.ts';
import { Forbidden, InvalidInput, NotFound, type FieldError } from '../errors.ts';
import { advisoryLocks } from '../postgres/advisory-lock.ts';
import { inTransaction, type Db, type Transaction } from '../postgres/client.ts';
import type { ApiKey } from '../postgres/generated/prisma/client.ts';
import { defineLoader } from '../postgres/loader.ts';
import { newestFirst, toPage, type Page, type PageRequest } from '../postgres/page.ts';
import { lockStaff } from './staff.ts';

/** The maximum number of `listed` keys on a server. */
const maxKeys = 1_000;
/**
 * Selects the keys that are not revoked, except those of incoming webhooks, which users other than admins can also
 * create.
 */
const listed = { revokedAt: null, incomingWebhook: null };
/** How many characters of a secret are stored to tell keys apart: the prefix, and 24 of the 256 bits. */
const hintLength = 'parley_'.length + 4;

/** A key to be created. `expiresAt` is null for a key that never expires. */
export type NewApiKey = { name: string; scopes: readonly Scope[]; expiresAt: Date | null };

/** A key with its secret, which is shown once. */
export type CreatedApiKey = { apiKey: ApiKey; secret: string };

/**
 * Creates a server key. For admins, and for programs with the scope ADMIN, which can grant only scopes that their own
 * key has. Throws Forbidden, and InvalidInput for a bad name, for no scopes, for a scope that is listed twice, and for
 * an expiry in the past.
 */
export async function createApiKey(db: Db, caller: Caller, input: NewApiKey): Promise<CreatedApiKey> {
  const key = readNewKey(input);
  return inTransaction(
    db,
    async (transaction) => {
      await lockStaff(transaction, caller, 'manageApiKeys');
      requireOwnScopes(caller, key.scopes);
      return insertApiKey(transaction, { ...key, botId: null, creatorId: await creatorOf(transaction, caller) });
    },
    caller,
  );
}

/** Reads the input for a server key. Throws InvalidInput. */
export function readNewKey({ name, scopes, expiresAt }: NewApiKey): NewApiKey {
  const errors: FieldError[] = [];
  const line = readName(name, ['name'], maxNameLength, errors);
  if (scopes.length === 0) errors.push({ path: ['scopes'], code: 'REQUIRED', message: 'must not be empty' });
  checkScopes(scopes, errors);
  if (expiresAt !== null && expiresAt.getTime() <= Date.now()) {
    errors.push({ path: ['expiresAt'], code: 'NOT_ALLOWED', message: 'must be in the future' });
  }
  if (errors.length > 0) throw new InvalidInput(errors);
  return { name: line, scopes, expiresAt };
}

/** Adds an error if a scope is listed twice. */
export function checkScopes(scopes: readonly Scope[], errors: FieldError[]): void {
  const twice = scopes.findIndex((scope, index) => scopes.indexOf(scope) < index);
  if (twice !== -1) errors.push({ path: ['scopes', String(twice)], code: 'DUPLICATE', message: 'is named twice' });
}

/** Throws Forbidden if a program grants a scope that its own key lacks. An admin has all scopes. */
export function requireOwnScopes(caller: Caller, granted: readonly Scope[]): void {
  if (caller.kind !== 'KEY') return;
  const lacking = granted.filter((scope) => !caller.scopes.has(scope));
  if (lacking.length === 0) return;
  throw new Forbidden(`This API key cannot grant what it lacks: ${lacking.join(', ')}.`);
}

/** Returns the user who is responsible for a new key; null for a program whose own key has no such user. */
export async function creatorOf({ prisma }: Transaction, caller: Caller): Promise<bigint | null> {
  if (caller.userId !== null || caller.kind !== 'KEY') return caller.userId;
  const key = await prisma.apiKey.findUnique({ where: { id: caller.keyId }, select: { creatorId: true } });
  return key?.creatorId ?? null;
}

/** Inserts a key, inside a transaction. Throws InvalidInput if the server has too many keys. */
export async function insertApiKey(
  { prisma, query }: Transaction,
  key: NewApiKey & { botId: bigint | null; creatorId: bigint | null },
): Promise<CreatedApiKey> {
  // Creates keys one at a time, so that two requests cannot both create the last key that the limit allows. Raw SQL,
  // because Prisma cannot take an advisory lock.
  await query('select pg_advisory_xact_lock($1)', [advisoryLocks['new webhook']]);
  if ((await prisma.apiKey.count({ where: listed })) >= maxKeys) {
    const message = `there are ${maxKeys} API keys already`;
    throw new InvalidInput([{ path: ['name'], code: 'TOO_MANY', message }]);
  }
  const { secret, hash } = createSecret('apiKey');
  const apiKey = await prisma.apiKey.create({
    data: {
      ...key,
      scopes: allScopes.filter((scope) => key.scopes.includes(scope)),
      secretHash: Uint8Array.from(hash),
      hint: secret.slice(0, hintLength),
    },
  });
  return { apiKey, secret };
}

/**
 * Revokes a key and returns it. The key is refused within a second, and its streams end on every node. For admins, and
 * for programs with the scope ADMIN. Throws Forbidden, and NotFound if the key does not exist or was already revoked.
 */
export async function revokeApiKey(
  { db, keys }: { db: Db; keys: LiveKeys },
  caller: Caller,
  keyId: bigint,
): Promise<ApiKey> {
  const revoked = await inTransaction(
    db,
    async (transaction) => {
      await lockStaff(transaction, caller, 'manageApiKeys');
      // Of two concurrent requests, only one revokes the key.
      const { prisma } = transaction;
      const { count } = await prisma.apiKey.updateMany({
        where: { id: keyId, revokedAt: null },
        data: { revokedAt: new Date() },
      });
      if (count === 0) throw new NotFound('There is no such API key.');
      return prisma.apiKey.findUniqueOrThrow({ where: { id: keyId } });
    },
    caller,
  );
  keys.forget();
  return revoked;
}

/**
 * Lists a page of the keys that are not revoked and do not belong to an incoming webhook, newest first. The caller must
 * have checked that these keys may be shown.
 */
export async function listApiKeys({ prisma }: Db, page: PageRequest): Promise<Page<ApiKey>> {
  const { id, rest } = newestFirst(page);
  return toPage(await prisma.apiKey.findMany({ where: { id, ...listed }, ...rest }), page);
}

/**
 * Loads keys by id, including revoked ones; null if there is no such key. The caller must have checked that these keys
 * may be shown.
 */
export const apiKeyById = defineLoader({
  load: async ({ prisma }: Db, keyIds: readonly bigint[]): Promise<(ApiKey | null)[]> => {
    const keys = await prisma.apiKey.findMany({ where: { id: { in: [...keyIds] } } });
    const found = new Map(keys.map((key) => [key.id, key]));
    return keyIds.map((id) => found.get(id) ?? null);
  },
});
