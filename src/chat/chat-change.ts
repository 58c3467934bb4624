import type { Db } from '../postgres/client.ts';
import type { Chat, ChatType } from '../postgres/generated/prisma/client.ts';
import { InvalidInput, type FieldError } from '../errors.ts';
import { deleteLockedChat, inChat, requireMay } from './locked-chat.ts';
import { maxDescriptionLength, maxNameLength, readName, readText } from '../core/text.ts';
import type { Asker } from '../core/asker.ts';
import { maxSlowModeSeconds } from './slow-mode.ts';

/** A change to a chat. Undefined leaves a property as it is, and null removes the property. */
export type ChatChange = {
  chatId: bigint;
  name: string | null | undefined;
  description: string | null | undefined;
  type: ChatType | undefined;
  /** Null turns slow mode off, like 0. */
  slowModeSeconds: number | null | undefined;
};

/**
 * Changes a group's or a channel's name, description, type or slow mode. If anything changed, the members receive ChatUpdated.
 * When a channel becomes private, readers who are not members lose access to it, and each member again sees only their
 * own part of the history. When a chat becomes public, everyone can read its whole history, so only an owner, or an
 * admin who can see the whole history, can make a chat public. Throws Forbidden for a single chat and for an asker who
 * is neither an owner nor an admin. Throws InvalidInput for a channel without a name, for an attempt to change any chat
 * into a single chat, and for a slow mode of more than 6 hours.
 */
export async function updateChat(db: Db, asker: Asker, change: ChatChange): Promise<Chat> {
  const { chatId, name, description, type, slowModeSeconds } = checkValues(change);
  return inChat(db, { asker, chatId }, async ({ prisma }, locked) => {
    requireMay('updateChat', locked);
    const wanted = {
      type: type ?? locked.chat.type,
      name: name === undefined ? locked.chat.name : name,
      description: description === undefined ? locked.chat.description : description,
      slowModeSeconds: slowModeSeconds === undefined ? locked.chat.slowModeSeconds : (slowModeSeconds ?? 0),
    };
    checkType(wanted);
    if (wanted.type === 'PUBLIC_CHANNEL' && locked.chat.type !== wanted.type) requireMay('publishHistory', locked);
    return prisma.chat.update({ where: { id: chatId }, data: wanted });
  });
}

/**
 * Deletes a chat and everything in it, for everyone. Its members receive ChatDeleted and no events about its contents.
 * Only an owner can delete a chat. A single chat has no owner, so it cannot be deleted. Throws Forbidden for anyone
 * else who can see the chat.
 */
export async function deleteChat(db: Db, asker: Asker, { chatId }: { chatId: bigint }): Promise<void> {
  return inChat(db, { asker, chatId }, async (transaction, locked) => {
    requireMay('deleteChat', locked);
    await deleteLockedChat(transaction, locked);
  });
}

function checkValues(change: ChatChange): ChatChange {
  const errors: FieldError[] = [];
  const name = change.name == null ? change.name : readName(change.name, ['name'], maxNameLength, errors);
  const description =
    change.description == null
      ? change.description
      : readText(change.description, ['description'], maxDescriptionLength, errors);
  const seconds = change.slowModeSeconds ?? 0;
  if (seconds < 0 || seconds > maxSlowModeSeconds) {
    const message = `must be from 0 to ${maxSlowModeSeconds}`;
    errors.push({ path: ['slowModeSeconds'], code: 'NOT_ALLOWED', message });
  }
  if (errors.length > 0) throw new InvalidInput(errors);
  return { ...change, name, description };
}

function checkType({ type, name }: { type: ChatType; name: string | null }): void {
  if (type === 'SINGLE')
    throw new InvalidInput([
      { path: ['type'], code: 'NOT_ALLOWED', message: 'a chat cannot be changed into a single chat' },
    ]);
  if (type !== 'GROUP' && name === null) {
    throw new InvalidInput([{ path: ['name'], code: 'REQUIRED', message: 'a channel must have a name' }]);
  }
}
