import { inTransaction, type Db, type Queryable } from '../postgres/client.ts';
import type { Chat, User } from '../postgres/generated/prisma/client.ts';
import { columns } from '../postgres/columns.ts';
import { InvalidInput, Unauthenticated } from '../errors.ts';
import { inChat, requireMay } from '../chat/locked-chat.ts';
import type { Asker } from '../core/asker.ts';

/**
 * Gives the viewer an avatar, or takes it away (null). The one before is gone with its links, its bytes too when nobody
 * else has them. Whoever shares a chat with them hears UserUpdated, if anything did change. InvalidInput for what is no
 * picture that the viewer has uploaded and that is still free, RateLimited for changes all the time.
 */
export async function setOwnAvatar({ db }: { db: Db }, asker: Asker, fileId: bigint | null): Promise<User> {
  return inTransaction(db, async (client) => {
    const { rows } = await client.query<User>(
      `select ${columns.user('u')} from users u where u.id = $1 and u.deleted_at is null for no key update`,
      [asker.userId],
    );
    const [user] = rows;
    if (user === undefined) throw new Unauthenticated('The account is gone.');
    if (user.avatarFileId === fileId) return user;
    if (fileId !== null) await requireFreePicture(client, asker, fileId);
    await client.query('update users set avatar_file_id = $2 where id = $1', [user.id, fileId]);
    return { ...user, avatarFileId: fileId };
  });
}

/**
 * The same for a chat, by whoever may change its name; its members hear ChatUpdated. It stays the viewer's upload: it
 * counts for their quota, and goes with their account. NotFound for a chat that they don't see, Forbidden unless they may,
 * and for a single chat, which has none.
 */
export async function setChatAvatar(
  db: Db,
  asker: Asker,
  { chatId, fileId }: { chatId: bigint; fileId: bigint | null },
): Promise<Chat> {
  return inChat(db, { asker, chatId }, async (client, held) => {
    requireMay('updateChat', held);
    if (held.chat.avatarFileId === fileId) return held.chat;
    if (fileId !== null) await requireFreePicture(client, asker, fileId);
    await client.query('update chats set avatar_file_id = $2 where id = $1', [chatId, fileId]);
    return { ...held.chat, avatarFileId: fileId };
  });
}

/** Holds the file's row, by which all take turns who want it for a message or as an avatar. */
async function requireFreePicture(client: Queryable, asker: Asker, fileId: bigint): Promise<void> {
  const { rows } = await client.query<{ isPicture: boolean }>(
    `select b.width is not null as "isPicture" from files f join blobs b on b.hash = f.blob_hash
    where f.id = $1 and f.uploader_id = $2 and f.message_id is null and not f.is_avatar
    for no key update of f`,
    [fileId, asker.userId],
  );
  const [file] = rows;
  if (file === undefined) {
    throw new InvalidInput([
      { path: ['fileId'], code: 'NOT_FOUND', message: 'must be an upload of yours that is not in use yet' },
    ]);
  }
  if (!file.isPicture)
    throw new InvalidInput([{ path: ['fileId'], code: 'NOT_ALLOWED', message: 'must be a picture' }]);
}
