import { inTransaction, type Db, type Queryable, type Transaction } from '../postgres/client.ts';
import { orGone } from '../postgres/foreign-key.ts';
import type { Chat, ChatType } from '../postgres/generated/prisma/client.ts';
import { columns } from '../postgres/columns.ts';
import { byId, defineLoader } from '../postgres/loader.ts';
import { chatReaderKey, visibleChats, visibleFrom, type ChatReader } from './visibility.ts';
import { InvalidInput, NotFound, type FieldError } from '../errors.ts';
import { refuseBlockers } from '../people/block.ts';
import { isExternalKey } from '../core/external-key.ts';
import { maxDescriptionLength, maxNameLength, readName, readText } from '../core/text.ts';
import type { Asker } from '../core/asker.ts';
import { pairOne } from '../postgres/pairing.ts';
import { unnest } from '../postgres/unnest.ts';

/** The maximum number of people that one call can name. */
export const maxMembersPerCall = 1_000;

/** A chat to create. `memberIds` need not include the creator, who becomes a member in any case. */
export type NewChat = {
  type: ChatType;
  memberIds: bigint[];
  name: string | null;
  description: string | null;
};

/** Loads chats by id. Raw SQL, at half the cost of Prisma, because this runs when events are rendered. */
export const chatById = defineLoader({
  load: byId(async ({ pool }, ids) => {
    const { rows } = await pool.query<Chat>({
      name: 'chats_by_id',
      text: `select ${columns.chat('c')} from chats c where c.id = any ($1)`,
      values: [ids],
    });
    return new Map(rows.map((chat) => [chat.id, chat]));
  }),
});

/**
 * Loads chats by id, or null for a chat that the asker cannot see. Raw SQL, at a third of the cost of Prisma, because
 * `node`, `nodes` and most queries of a chat start here.
 */
export const visibleChatOf = defineLoader({
  load: async ({ pool }, readers: readonly ChatReader[]) => {
    const { rows } = await pool.query<Chat & { index: number }>({
      name: 'visible_chats',
      text: `select reader.index::int as index, ${columns.chat('c')}
      from ${unnest('$1::bigint[]', '$2::bigint[]')} with ordinality as reader (chat_id, user_id, index)
      join chats c on c.id = reader.chat_id
      where ${visibleFrom('c', 'reader.user_id')} is not null`,
      values: [readers.map(({ chatId }) => chatId), readers.map(({ asker }) => asker.userId)],
    });
    return pairOne(rows, readers, { value: (row): Chat => row, missing: null });
  },
  keyOf: chatReaderKey,
});

/**
 * Returns the chat that the embedding product knows by this key, or null if there is no such chat or the asker cannot
 * see it. Without an asker, finds any chat.
 */
export async function findChatByKey({ prisma }: Db, asker: Asker | null, key: string): Promise<Chat | null> {
  if (!isExternalKey(key)) return null;
  return prisma.chat.findFirst({ where: { key, ...(asker !== null && visibleChats(asker)) } });
}

/** Returns the chat. Throws NotFound if the chat does not exist or the asker cannot see it. */
export async function requireVisibleChat(db: Db, asker: Asker, chatId: bigint): Promise<Chat> {
  const chat = await db.prisma.chat.findFirst({ where: { id: chatId, ...visibleChats(asker) } });
  if (chat === null) throw new NotFound('There is no such chat.');
  return chat;
}

/**
 * Creates a chat with its first members. The asker becomes the owner of the chat (a SINGLE chat has no owner). All
 * members receive NewChat. Two people have only one SINGLE chat, no matter which of the two asks for it or how many
 * requests run at the same time. If the chat already exists, it is returned unchanged. Throws InvalidInput, with a list
 * of the errors, if the input breaks the rules of its type or names unknown people. Throws Forbidden if one of the
 * other people has blocked the asker. Throws NotFound if the asker's account is deleted in the meantime.
 */
export async function createChat(db: Db, asker: Asker, input: NewChat): Promise<Chat> {
  const chat = checkNewChat(asker, input);
  const others = [...new Set(input.memberIds)].filter((userId) => userId !== asker.userId);
  return inTransaction(db, async (transaction) => {
    refuseUnknownPeople(input.memberIds, await lockPeople(transaction, input.memberIds), 'memberIds');
    const existing = chat.type === 'SINGLE' ? await findSingleChat(transaction, asker, others[0]) : null;
    if (existing !== null) return existing;
    await refuseBlockers(transaction, asker, others);
    // The savepoint to roll back to if the pair already has a chat. Raw SQL: Prisma has no savepoints.
    await transaction.query('savepoint before_chat');
    const created = await transaction.prisma.chat.create({ data: chat });
    if (chat.type === 'SINGLE' && !(await claimPair(transaction, asker, { chatId: created.id, other: others[0] }))) {
      // Another request created the pair's chat between this request's lookup and its claim. Return that chat, and undo
      // the creation of this one so that no one receives an event for it.
      await transaction.query('rollback to savepoint before_chat');
      const theirs = await findSingleChat(transaction, asker, others[0]);
      if (theirs === null) throw new NotFound('One of the two accounts has been deleted.');
      return theirs;
    }
    await insertMembers(transaction, asker, { chat: created, others });
    return { ...created, memberCount: others.length + 1 };
  });
}

function checkNewChat(
  asker: Asker,
  input: NewChat,
): { type: ChatType; name: string | null; description: string | null } {
  const errors: FieldError[] = [];
  const name = input.name === null ? null : readName(input.name, ['name'], maxNameLength, errors);
  const description =
    input.description === null ? null : readText(input.description, ['description'], maxDescriptionLength, errors);
  const people = new Set([...input.memberIds, asker.userId]);
  if (input.memberIds.length > maxMembersPerCall) {
    errors.push({ path: ['memberIds'], code: 'TOO_MANY', message: `must name at most ${maxMembersPerCall} people` });
  }
  if (input.type === 'SINGLE') {
    if (input.name !== null) errors.push({ path: ['name'], code: 'NOT_ALLOWED', message: 'a single chat has no name' });
    if (input.description !== null)
      errors.push({ path: ['description'], code: 'NOT_ALLOWED', message: 'a single chat has no description' });
    if (new Set(input.memberIds).size !== 1) {
      errors.push({ path: ['memberIds'], code: 'NOT_ALLOWED', message: 'a single chat has exactly one other person' });
    }
  }
  if (input.type === 'GROUP' && people.size < 2) {
    errors.push({ path: ['memberIds'], code: 'REQUIRED', message: 'a group needs at least one other member' });
  }
  if ((input.type === 'PRIVATE_CHANNEL' || input.type === 'PUBLIC_CHANNEL') && input.name === null) {
    errors.push({ path: ['name'], code: 'REQUIRED', message: 'a channel must have a name' });
  }
  if (errors.length > 0) throw new InvalidInput(errors);
  return { type: input.type, name, description };
}

/**
 * Locks the rows of these people against deletion until the transaction ends, in the order of their ids. Returns the
 * ids of the people who exist. Raw SQL, because Prisma cannot lock rows.
 */
export async function lockPeople(client: Queryable, userIds: readonly bigint[]): Promise<Set<bigint>> {
  const { rows } = await client.query<{ id: bigint }>(
    'select id from users where id = any ($1) and deleted_at is null order by id for key share',
    [userIds],
  );
  return new Set(rows.map(({ id }) => id));
}

/** Throws an InvalidInput that lists each person who is not in `known`, by their index in `field`. */
export function refuseUnknownPeople(userIds: readonly bigint[], known: ReadonlySet<bigint>, field: string): void {
  const errors = userIds.flatMap((userId, index): FieldError[] =>
    known.has(userId) ? [] : [{ path: [field, String(index)], code: 'NOT_FOUND', message: 'there is no such user' }],
  );
  if (errors.length > 0) throw new InvalidInput(errors);
}

async function findSingleChat(
  { prisma }: Transaction,
  { userId }: Asker,
  other: bigint | undefined,
): Promise<Chat | null> {
  return prisma.chat.findFirst({ where: { single: pairOf(userId, other ?? userId) } });
}

function pairOf(one: bigint, other: bigint): { lowUserId: bigint; highUserId: bigint } {
  return one < other ? { lowUserId: one, highUserId: other } : { lowUserId: other, highUserId: one };
}

/**
 * Returns whether this chat has become the pair's single chat. Waits for any other request that is claiming the pair.
 * Raw SQL, because Prisma has no `on conflict`.
 */
async function claimPair(
  { query }: Queryable,
  { userId }: Asker,
  { chatId, other }: { chatId: bigint; other: bigint | undefined },
): Promise<boolean> {
  const { lowUserId, highUserId } = pairOf(userId, other ?? userId);
  const claiming = query(
    `insert into single_chats (chat_id, low_user_id, high_user_id) values ($1, $2, $3)
    on conflict (low_user_id, high_user_id) do nothing`,
    [chatId, lowUserId, highUserId],
  );
  const { rowCount } = await orGone(claiming, ['single_chats_low_user_id_fkey', 'single_chats_high_user_id_fkey']);
  return rowCount === 1;
}

/**
 * A single chat has no roles, so no one owns it. Raw SQL, because one statement inserts all members, at a thirtieth of
 * the cost of Prisma's createMany.
 */
async function insertMembers(
  { query }: Queryable,
  { userId }: Asker,
  { chat: { id, type }, others }: { chat: Chat; others: readonly bigint[] },
): Promise<void> {
  const inserting = query(
    `insert into members (chat_id, user_id, role)
    select $1, user_id, case when user_id = $2 then $3::member_role else 'MEMBER' end
    from ${unnest('$4::bigint[]')} as user_id`,
    [id, userId, type === 'SINGLE' ? 'MEMBER' : 'OWNER', [userId, ...others]],
  );
  // The creator's row, unlike the other rows, is not locked, so the creator's account may have been deleted in the
  // meantime.
  await orGone(inserting, ['members_user_id_fkey']);
}
