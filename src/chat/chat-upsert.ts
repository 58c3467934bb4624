import type { Program } from '../core/asker.ts';
import { readCustom } from '../core/custom.ts';
import { readExternalKey } from '../core/external-key.ts';
import { maxDescriptionLength, maxNameLength, readName, readText } from '../core/text.ts';
import { InvalidInput, NotFound, type FieldError } from '../errors.ts';
import { inTransaction, type Db, type Transaction } from '../postgres/client.ts';
import { columns } from '../postgres/columns.ts';
import type { Chat, Prisma } from '../postgres/generated/prisma/client.ts';
import { createKeyedChat, createKeyedSingle, type ChatUpsert } from './keyed-chat.ts';
import { setMembers } from './keyed-members.ts';
import { explainChatLock } from './locked-chat.ts';

/**
 * The maximum number of members that a call can name. They become the chat's only members, so a call for a large chat
 * must name all of them.
 */
export const maxUpsertMembers = 10_000;
/** An attempt fails only if another request creates the chat at the same moment. */
const maxAttempts = 5;

/**
 * Creates the chat with this key, or updates it. Making the same call twice, even concurrently, creates only one chat.
 * With `memberIds`, exactly these users become the members. Added members receive AddToChat (or NewChat for a new
 * chat), and removed members receive RemoveFromChat. If a property changed, the members receive ChatUpdated. The caller
 * must have checked that the program may write chats.
 *
 * A chat with a key belongs to the embedding product. It has no owner unless the program names owners, or creates the
 * chat while it acts for a user and lists that user as a member. The chat is kept when its last member leaves. Throws
 * InvalidInput, with a list of the errors, for input that breaks the rules of the type or names unknown users. Throws
 * Forbidden if one of the new members is banned from the chat. Throws NotFound if an account is deleted in the
 * meantime. Throws RateLimited if another transaction keeps the chat locked.
 */
export async function upsertChat(db: Db, program: Program, input: ChatUpsert): Promise<Chat> {
  const wanted = readUpsert(input);
  try {
    return await inTransaction(
      db,
      async (transaction) => {
        await transaction.query(`set local lock_timeout = '5s'`);
        for (let attempt = 0; attempt < maxAttempts; attempt += 1) {
          const known = await lockByKey(transaction, wanted.key);
          if (known !== null) return update(transaction, known, wanted);
          const create = wanted.type === 'SINGLE' ? createKeyedSingle : createKeyedChat;
          const created = await create(transaction, program, wanted);
          if (created !== null) return created;
        }
        throw new NotFound('The chat is being created and deleted at the same time.');
      },
      program,
    );
  } catch (error) {
    throw explainChatLock(error);
  }
}

function readUpsert(input: ChatUpsert): ChatUpsert {
  const errors: FieldError[] = [];
  const key = readExternalKey(input.key, ['key'], errors);
  const name = input.name == null ? input.name : readName(input.name, ['name'], maxNameLength, errors);
  const description =
    input.description == null
      ? input.description
      : readText(input.description, ['description'], maxDescriptionLength, errors);
  const custom = input.custom == null ? input.custom : readCustom(input.custom, ['custom'], errors);
  if ((input.memberIds?.length ?? 0) > maxUpsertMembers) {
    errors.push({ path: ['memberIds'], code: 'TOO_MANY', message: `must name at most ${maxUpsertMembers} people` });
  }
  if ((input.ownerIds?.length ?? 0) > maxUpsertMembers) {
    errors.push({ path: ['ownerIds'], code: 'TOO_MANY', message: `must name at most ${maxUpsertMembers} people` });
  }
  if (input.type === 'SINGLE' && input.ownerIds !== undefined) {
    errors.push({ path: ['ownerIds'], code: 'NOT_ALLOWED', message: 'a single chat has no owner' });
  }
  if (input.type === 'SINGLE' && name != null) {
    errors.push({ path: ['name'], code: 'NOT_ALLOWED', message: 'a single chat has no name' });
  }
  if (input.type === 'SINGLE' && description != null) {
    errors.push({ path: ['description'], code: 'NOT_ALLOWED', message: 'a single chat has no description' });
  }
  if (errors.length > 0) throw new InvalidInput(errors);
  const memberIds = input.memberIds === undefined ? undefined : [...input.memberIds];
  return { ...input, key, name, description, custom, memberIds };
}

/** Returns the chat with this key, and locks its row. Raw SQL, because Prisma cannot lock rows. */
async function lockByKey({ query }: Transaction, key: string): Promise<Chat | null> {
  const { rows } = await query<Chat>(`select ${columns.chat('c')} from chats c where c.key = $1 for no key update`, [
    key,
  ]);
  return rows[0] ?? null;
}

async function update(transaction: Transaction, chat: Chat, wanted: ChatUpsert): Promise<Chat> {
  const data: Prisma.ChatUpdateInput = {
    type: wanted.type,
    ...(wanted.name !== undefined && { name: wanted.name }),
    ...(wanted.description !== undefined && { description: wanted.description }),
    ...(wanted.custom !== undefined && { custom: (wanted.custom ?? {}) as Prisma.InputJsonObject }),
  };
  refuseType(chat, wanted);
  // If anything changed, a trigger emits ChatUpdated.
  await transaction.prisma.chat.update({ where: { id: chat.id }, data });
  await setMembers(transaction, { ...chat, type: wanted.type }, wanted);
  return transaction.prisma.chat.findUniqueOrThrow({ where: { id: chat.id } });
}

function refuseType(chat: Chat, { type, name = chat.name }: ChatUpsert): void {
  if ((chat.type === 'SINGLE') !== (type === 'SINGLE')) {
    const message = 'a chat cannot be changed from or into a single chat';
    throw new InvalidInput([{ path: ['type'], code: 'NOT_ALLOWED', message }]);
  }
  if (chat.isImporting) {
    throw new InvalidInput([{ path: ['key'], code: 'NOT_ALLOWED', message: 'names a chat that is being imported' }]);
  }
  if ((type === 'PRIVATE_CHANNEL' || type === 'PUBLIC_CHANNEL') && name === null) {
    throw new InvalidInput([{ path: ['name'], code: 'REQUIRED', message: 'a channel must have a name' }]);
  }
}
