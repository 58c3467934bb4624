import { inTransaction, type Db, type Queryable } from '../postgres/client.ts';
import type { Chat, User } from '../postgres/generated/prisma/client.ts';
import { columns } from '../postgres/columns.ts';
import { InvalidInput, Unauthenticated } from '../errors.ts';
import { inChat, requireMay } from '../chat/locked-chat.ts';
import type { Asker } from '../core/asker.ts';

/**
 * Sets the asker's avatar, or removes it if `fileId` is null. The previous avatar is deleted and its links stop
 * working. Its bytes are deleted too, unless another file has the same bytes. Users who share a chat with the asker
 * receive UserUpdated if anything changed. Throws InvalidInput unless the file is a picture that the asker uploaded and
 * that is not in use yet. The GraphQL edge (api/limit.ts) limits how often a user may do this.
 */
export async function setOwnAvatar({ db }: { db: Db }, asker: Asker, fileId: bigint | null): Promise<User> {
  return inTransaction(db, async (transaction) => {
    // Locks the user, so that concurrent changes run one after the other. Raw SQL, because Prisma cannot lock rows.
    const { rows } = await transaction.query<User>(
      `select ${columns.user('u')} from users u where u.id = $1 and u.deleted_at is null for no key update`,
      [asker.userId],
    );
    const [user] = rows;
    if (user === undefined) throw new Unauthenticated('The account has been deleted.');
    if (user.avatarFileId === fileId) return user;
    if (fileId !== null) await requireFreePicture(transaction, asker, fileId);
    return transaction.prisma.user.update({ where: { id: user.id }, data: { avatarFileId: fileId } });
  });
}

/**
 * Sets or removes the avatar of a chat if the asker may change the chat's name. The members of the chat receive
 * ChatUpdated. The file remains an upload of the asker: it counts towards their quota, and is deleted with their
 * account. Throws NotFound if the asker cannot see the chat. Throws Forbidden if they may not change it, or if it is a
 * single chat, because single chats have no avatar.
 */
export async function setChatAvatar(
  db: Db,
  asker: Asker,
  { chatId, fileId }: { chatId: bigint; fileId: bigint | null },
): Promise<Chat> {
  return inChat(db, { asker, chatId }, async (transaction, held) => {
    requireMay('updateChat', held);
    if (held.chat.avatarFileId === fileId) return held.chat;
    if (fileId !== null) await requireFreePicture(transaction, asker, fileId);
    return transaction.prisma.chat.update({ where: { id: chatId }, data: { avatarFileId: fileId } });
  });
}

/** Locks the row of the file, so that any other message or avatar that is about to use the file has to wait. */
async function requireFreePicture(client: Queryable, asker: Asker, fileId: bigint): Promise<void> {
  // Raw SQL, for the lock.
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
