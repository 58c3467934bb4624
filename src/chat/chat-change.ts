import type { Db } from '../postgres/client.ts';
import type { Chat, ChatType } from '../postgres/generated/prisma/client.ts';
import { InvalidInput, type FieldError } from '../errors.ts';
import { deleteLockedChat, inChat, requireMay } from './locked-chat.ts';
import { maxDescriptionLength, maxNameLength, readLine, readText } from '../core/text.ts';
import type { Asker } from '../core/asker.ts';

/** What is to become of a chat: undefined leaves a thing as it is, null takes it away. */
export type ChatChange = {
  chatId: bigint;
  name: string | null | undefined;
  description: string | null | undefined;
  type: ChatType | undefined;
};

/**
 * Changes a group's or a channel's name, description or type; its members hear ChatUpdated if anything did change. Whoever
 * only read a channel that turns private loses it by that, and its members see their own part of the history again; one
 * that turns public is read whole by everyone: only an owner, or an admin who sees all of it, makes it public.
 * Forbidden for a single chat, and unless the asker is an owner or an admin; InvalidInput for what the type does not
 * have: a channel without a name, and a single chat out of anything else.
 */
export async function updateChat(db: Db, asker: Asker, change: ChatChange): Promise<Chat> {
  const { chatId, name, description, type } = checkTexts(change);
  return inChat(db, { asker, chatId }, async ({ prisma }, held) => {
    requireMay('updateChat', held);
    const wanted = {
      type: type ?? held.chat.type,
      name: name === undefined ? held.chat.name : name,
      description: description === undefined ? held.chat.description : description,
    };
    checkType(wanted);
    if (wanted.type === 'PUBLIC_CHANNEL' && held.chat.type !== wanted.type) requireMay('publishHistory', held);
    return prisma.chat.update({ where: { id: chatId }, data: wanted });
  });
}

/**
 * Deletes a chat with all that is in it, for everybody. Its members hear ChatDeleted, and nothing else of what goes.
 * Only its owners may; a single chat, which has none, stays with its people. Forbidden for others who see it.
 */
export async function deleteChat(db: Db, asker: Asker, { chatId }: { chatId: bigint }): Promise<void> {
  return inChat(db, { asker, chatId }, async (transaction, held) => {
    requireMay('deleteChat', held);
    await deleteLockedChat(transaction, held);
  });
}

function checkTexts(change: ChatChange): ChatChange {
  const errors: FieldError[] = [];
  const name = change.name == null ? change.name : readLine(change.name, ['name'], maxNameLength, errors);
  const description =
    change.description == null
      ? change.description
      : readText(change.description, ['description'], maxDescriptionLength, errors);
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
