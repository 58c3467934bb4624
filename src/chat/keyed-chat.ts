import type { Program } from '../core/asker.ts';
import type { Custom } from '../core/custom.ts';
import { InvalidInput, NotFound } from '../errors.ts';
import type { Queryable, Transaction } from '../postgres/client.ts';
import { columns } from '../postgres/columns.ts';
import { orGone } from '../postgres/foreign-key.ts';
import { constraintOf } from '../postgres/sql-state.ts';
import type { Chat, ChatType } from '../postgres/generated/prisma/client.ts';
import { lockPeople, refuseUnknownPeople } from './chat.ts';
import { unnest } from '../postgres/unnest.ts';

/**
 * A chat as the embedding product describes it. An undefined value leaves a property, or the members, unchanged. Null
 * removes a property.
 */
export type ChatUpsert = {
  key: string;
  type: ChatType;
  name: string | null | undefined;
  description: string | null | undefined;
  memberIds: readonly bigint[] | undefined;
  ownerIds: readonly bigint[] | undefined;
  custom: Custom | null | undefined;
};

/**
 * Creates the chat with its members. Returns null if another request has just created a chat with this key. Throws
 * InvalidInput.
 */
export async function createKeyedChat(
  transaction: Transaction,
  { userId }: Program,
  wanted: ChatUpsert,
): Promise<Chat | null> {
  const memberIds = [...new Set(wanted.memberIds)];
  refuseOwners(wanted.ownerIds, new Set(memberIds));
  if (wanted.type !== 'GROUP' && wanted.name == null) {
    throw new InvalidInput([{ path: ['name'], code: 'REQUIRED', message: 'a channel must have a name' }]);
  }
  await lockMembers(transaction, wanted);
  const chat = await insertChat(transaction, wanted);
  if (chat === null) return null;
  // Raw SQL, so that one statement inserts all members and there is only one event.
  await transaction.query(
    `insert into members (chat_id, user_id, role)
    select $1, user_id, case when user_id = any ($2) then 'OWNER' else 'MEMBER' end::member_role
    from ${unnest('$3::bigint[]')} as user_id`,
    [chat.id, wanted.ownerIds ?? (userId === null ? [] : [userId]), memberIds],
  );
  return { ...chat, memberCount: memberIds.length };
}

/**
 * Creates a single chat. If the two people already have a single chat without a key, that chat gets this key, because
 * two people can have only one single chat. Returns null if another request has just created a chat with this key, or a
 * single chat for the pair. Throws InvalidInput.
 */
export async function createKeyedSingle(
  transaction: Transaction,
  _: Program,
  wanted: ChatUpsert,
): Promise<Chat | null> {
  const [low, high] = readPair(wanted.memberIds ?? []);
  await lockMembers(transaction, wanted);
  const existing = await lockSingle(transaction, [low, high]);
  if (existing !== null) return adopt(transaction, existing, wanted);
  // The point to roll back to if the pair already has a chat. Raw SQL: Prisma has no savepoints.
  await transaction.query('savepoint before_chat');
  const chat = await insertChat(transaction, wanted);
  if (chat === null) return null;
  const claiming = transaction.query(
    `insert into single_chats (chat_id, low_user_id, high_user_id) values ($1, $2, $3)
    on conflict (low_user_id, high_user_id) do nothing`,
    [chat.id, low, high],
  );
  const { rowCount } = await orGone(claiming, ['single_chats_low_user_id_fkey', 'single_chats_high_user_id_fkey']);
  if (rowCount === 0) {
    // Undoes the creation of the chat, so that no one receives an event for it.
    await transaction.query('rollback to savepoint before_chat');
    return null;
  }
  await transaction.query('insert into members (chat_id, user_id) values ($1, $2), ($1, $3)', [chat.id, low, high]);
  return { ...chat, memberCount: 2 };
}

/**
 * Returns the two people of a single chat, the one with the lower id first. Throws InvalidInput if there are not
 * exactly two.
 */
export function readPair(memberIds: readonly bigint[]): [bigint, bigint] {
  const [one, other, ...more] = new Set(memberIds);
  if (one === undefined || other === undefined || more.length > 0) {
    const message = 'a single chat has exactly two people';
    throw new InvalidInput([{ path: ['memberIds'], code: 'NOT_ALLOWED', message }]);
  }
  return one < other ? [one, other] : [other, one];
}

/** Throws InvalidInput if `ownerIds` is empty or names a user who is not a member. */
export function refuseOwners(ownerIds: readonly bigint[] | undefined, memberIds: ReadonlySet<bigint>): void {
  if (ownerIds === undefined) return;
  if (ownerIds.length === 0) {
    throw new InvalidInput([{ path: ['ownerIds'], code: 'REQUIRED', message: 'must name at least one member' }]);
  }
  const errors = ownerIds.flatMap((userId, index) =>
    memberIds.has(userId)
      ? []
      : [{ path: ['ownerIds', String(index)], code: 'NOT_ALLOWED' as const, message: 'is not one of the members' }],
  );
  if (errors.length > 0) throw new InvalidInput(errors);
}

async function lockMembers(client: Queryable, { memberIds = [] }: ChatUpsert): Promise<void> {
  refuseUnknownPeople(memberIds, await lockPeople(client, memberIds), 'memberIds');
}

/** Raw SQL, because Prisma has no `on conflict`. */
async function insertChat(client: Queryable, wanted: ChatUpsert): Promise<Chat | null> {
  const { key, type, name = null, description = null, custom } = wanted;
  const { rows } = await client.query<Chat>(
    `insert into chats as c (key, type, name, description, custom) values ($1, $2, $3, $4, $5)
    on conflict (key) where key is not null do nothing returning ${columns.chat('c')}`,
    [key, type, name, description, custom ?? ({} satisfies Custom)],
  );
  return rows[0] ?? null;
}

/** Returns the pair's chat, and locks its row. Raw SQL, because Prisma cannot lock rows. */
async function lockSingle(client: Queryable, pair: [bigint, bigint]): Promise<Chat | null> {
  const { rows } = await client.query<Chat>(
    `select ${columns.chat('c')} from single_chats s join chats c on c.id = s.chat_id
    where s.low_user_id = $1 and s.high_user_id = $2 for no key update of c`,
    pair,
  );
  return rows[0] ?? null;
}

/**
 * Gives the existing chat this key. Returns null if another request has just given the key to this chat or to another
 * chat.
 */
async function adopt({ query }: Transaction, chat: Chat, { key, custom }: ChatUpsert): Promise<Chat | null> {
  if (chat.key === key) return null;
  if (chat.key !== null) {
    const message = 'the two already have a single chat, with another key';
    throw new InvalidInput([{ path: ['memberIds'], code: 'DUPLICATE', message }]);
  }
  // The savepoint to roll back to if another chat has just taken the key, because an update has no `on conflict`.
  await query('savepoint before_key');
  const update = query<Chat>(
    `update chats c set key = $2, custom = coalesce($3::jsonb, custom) where id = $1 returning ${columns.chat('c')}`,
    [chat.id, key, custom ?? null],
  );
  const rows = await update.then(
    (result) => result.rows,
    (error: unknown) => {
      if (constraintOf(error) === 'chats_key_key') return null;
      throw error;
    },
  );
  if (rows === null) {
    await query('rollback to savepoint before_key');
    return null;
  }
  const [adopted] = rows;
  if (adopted === undefined) throw new NotFound('One of the two accounts has been deleted.');
  return adopted;
}
