import type { Queryable } from '../postgres/client.ts';
import { refused, type Result } from './batch.ts';

/**
 * A chat that lines of an import refer to. `isImported`: the chat was created by an import. `isOpen`: that import has
 * not ended yet.
 */
export type NamedChat = { id: bigint; key: string; lastSeq: number; isImported: boolean; isOpen: boolean };

/**
 * Returns the chats with these keys, by key, and locks their rows, so that none of their imports ends in the meantime.
 * Raw SQL, because of the row locks, which all code acquires in the order of the ids.
 */
export async function lockNamedChats(
  client: Queryable,
  keys: readonly string[],
): Promise<ReadonlyMap<string, NamedChat>> {
  const { rows } = await client.query<NamedChat>(
    `select c.id, c.key, c.last_seq as "lastSeq", c.is_importing as "isOpen",
      exists (select from chat_imports i where i.chat_id = c.id) as "isImported"
    from chats c where c.key = any ($1) order by c.id for no key update`,
    [[...new Set(keys)]],
  );
  return new Map(rows.map((chat) => [chat.key, chat]));
}

/** Returns why a line may not write to the chat, or null if it may. */
export function refuseChat(chat: NamedChat | undefined, path: string[]): Result | null {
  if (chat === undefined) return refused(path, 'there is no chat with this key');
  if (!chat.isImported) return refused(path, 'this chat was not created by an import');
  return chat.isOpen ? null : refused(path, 'the import of this chat has ended');
}

/**
 * Returns which of these keys belonged to a chat or user that has been deleted. A deletion and its record of the key
 * are committed together, so a check made after a chat or user was created with the key cannot miss the record.
 */
export async function readDeletedKeys(
  client: Queryable,
  kind: 'chat' | 'user',
  keys: readonly string[],
): Promise<ReadonlySet<string>> {
  const { rows } = await client.query<{ key: string }>(
    'select key from unnest($2::text[]) as key join deleted_keys on key_hash = hash_key($1, key)',
    [kind, [...new Set(keys)]],
  );
  return new Set(rows.map(({ key }) => key));
}

/** Returns the ids of the users with these keys. Raw SQL, like all statements of the import. */
export async function readUserIds(client: Queryable, keys: readonly string[]): Promise<ReadonlyMap<string, bigint>> {
  const { rows } = await client.query<{ id: bigint; key: string }>(
    'select id, key from users where key = any ($1) and deleted_at is null',
    [[...new Set(keys)]],
  );
  return new Map(rows.map(({ id, key }) => [key, id]));
}
