import { randomBytes } from 'node:crypto';
import { inChat, requireMay, type LockedChat } from '../chat/locked-chat.ts';
import { readChatAccesses } from '../chat/chat-access.ts';
import { may } from '../chat/permission.ts';
import { never, type Asker, type KeyGrant } from '../core/asker.ts';
import { createHookUsername } from '../people/hook-bot.ts';
import { createSecret, hashSecret } from '../core/secret.ts';
import { maxNameLength, readName } from '../core/text.ts';
import { InvalidInput, NotFound, type FieldError } from '../errors.ts';
import type { Db, Queryable } from '../postgres/client.ts';
import type { IncomingWebhook } from '../postgres/generated/prisma/client.ts';

/** The maximum number of incoming webhooks for a chat. */
export const maxIncomingWebhooks = 15;

/** A newly created webhook and its token, which is shown only once. */
export type CreatedIncomingWebhook = { incomingWebhook: IncomingWebhook; token: string };

/**
 * Creates an incoming webhook for a chat, and makes a bot with that name a member of the chat. The asker must have the
 * right to change the chat. All members receive AddToChat. Throws InvalidInput for an invalid name, and if the chat
 * already has `maxIncomingWebhooks`; NotFound for a hidden chat; Forbidden for a single chat, and if the asker's role
 * does not allow it.
 */
export async function createIncomingWebhook(
  db: Db,
  asker: Asker,
  { chatId, name }: { chatId: bigint; name: string },
): Promise<CreatedIncomingWebhook> {
  const errors: FieldError[] = [];
  const displayName = readName(name, ['name'], maxNameLength, errors);
  if (errors.length > 0) throw new InvalidInput(errors);
  return inChat(db, { asker, chatId }, async (transaction, locked) => {
    requireMay('updateChat', locked);
    if ((await transaction.prisma.incomingWebhook.count({ where: { chatId } })) >= maxIncomingWebhooks) {
      const message = `has ${maxIncomingWebhooks} incoming webhooks already`;
      throw new InvalidInput([{ path: ['chatId'], code: 'TOO_MANY', message }]);
    }
    const { secret: token, hash: tokenHash } = createSecret('incomingWebhook');
    const botId = await createBot(transaction, locked, displayName);
    const apiKeyId = await createKey(transaction, { asker, botId, name: displayName });
    const data = { chatId, botId, apiKeyId, tokenHash: Uint8Array.from(tokenHash) };
    return { incomingWebhook: await transaction.prisma.incomingWebhook.create({ data }), token };
  });
}

/**
 * Ends an incoming webhook: its bot leaves the chat, but its messages stay. Throws NotFound for a webhook that does not
 * exist or whose chat is hidden, and Forbidden if the asker's role does not allow it.
 */
export async function revokeIncomingWebhook(db: Db, asker: Asker, webhookId: bigint): Promise<IncomingWebhook> {
  const found = await db.prisma.incomingWebhook.findUnique({ where: { id: webhookId } });
  if (found === null) throw noSuchWebhook();
  return inChat(db, { asker, chatId: found.chatId }, async ({ prisma }, locked) => {
    requireMay('updateChat', locked);
    const { chatId, botId: userId } = found;
    // The webhook and its key are deleted along with the membership. The chat is locked, so no other request can delete
    // them in the meantime.
    const { count } = await prisma.member.deleteMany({ where: { chatId, userId, incomingWebhook: { id: webhookId } } });
    if (count === 0) throw noSuchWebhook();
    return found;
  });
}

/** Returns the incoming webhooks with these ids whose chats the asker may change. */
export async function findIncomingWebhooks(db: Db, asker: Asker, ids: readonly bigint[]): Promise<IncomingWebhook[]> {
  const webhooks = await db.prisma.incomingWebhook.findMany({ where: { id: { in: [...ids] } } });
  const accesses = await readChatAccesses(
    db.pool,
    webhooks.map(({ chatId }) => ({ asker, chatId })),
  );
  return webhooks.filter((_, index) => {
    const access = accesses[index];
    return access !== undefined && may(asker, 'updateChat', access);
  });
}

/** Returns the chat to which a token posts, and what the webhook's bot may do, or null if no webhook has the token. */
export async function findHook(
  { pool }: Pick<Db, 'pool'>,
  token: string,
): Promise<{ chatId: bigint; grant: KeyGrant & { botId: bigint } } | null> {
  const tokenHash = hashSecret('incomingWebhook', token);
  if (tokenHash === null) return null;
  // Raw SQL, because this runs for every message of a webhook.
  const { rows } = await pool.query<{ chatId: bigint; botId: bigint; keyId: bigint }>({
    name: 'incoming_webhook',
    text: `select chat_id as "chatId", bot_id as "botId", api_key_id as "keyId"
    from incoming_webhooks where token_hash = $1`,
    values: [tokenHash],
  });
  if (rows[0] === undefined) return null;
  const { chatId, botId, keyId } = rows[0];
  return { chatId, grant: { keyId, botId, scopes: new Set(), expiresAt: never, onlyWrites: true } };
}

/**
 * Raw SQL, like all code that inserts users and members, because triggers draft the event from the inserted rows.
 * Returns the id of the bot.
 */
async function createBot(client: Queryable, { chat }: LockedChat, displayName: string): Promise<bigint> {
  const { rows } = await client.query<{ id: bigint }>(
    `insert into users (username, display_name, kind) values ($1, $2, 'BOT') returning id`,
    [createHookUsername(), displayName],
  );
  const id = rows[0]?.id;
  if (id === undefined) throw new Error('the bot was not created');
  await client.query(`insert into members (chat_id, user_id, visible_from_seq) values ($1, $2, $3)`, [
    chat.id,
    id,
    chat.type === 'PUBLIC_CHANNEL' ? 1 : chat.lastSeq + 1,
  ]);
  return id;
}

/** Creates the API key with which the bot posts. Its secret hash is random, so no secret matches it. */
async function createKey(
  client: Queryable,
  { asker, botId, name }: { asker: Asker; botId: bigint; name: string },
): Promise<bigint> {
  const { rows } = await client.query<{ id: bigint }>(
    `insert into api_keys (name, secret_hash, hint, scopes, bot_id, creator_id)
    values ($1, $2, 'parley_hook', '{}', $3, $4) returning id`,
    [name, randomBytes(32), botId, asker.userId],
  );
  if (rows[0] === undefined) throw new Error('the key was not created');
  return rows[0].id;
}

function noSuchWebhook(): NotFound {
  return new NotFound('There is no such incoming webhook.');
}
