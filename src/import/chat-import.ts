import { allowMinutes, type Queryable } from '../postgres/client.ts';
import { constraintOf } from '../postgres/sql-state.ts';
import { refused, type Numbered, type Result } from './batch.ts';
import { lockNamedChats, readDeletedKeys, refuseChat, type NamedChat } from './imported-chat.ts';
import { unnest } from '../postgres/unnest.ts';

/**
 * Creates the chats that do not exist yet. Until the import of a chat ends, the chat has no members and no one can see
 * it.
 */
export async function importChats(client: Queryable, lines: readonly Numbered<'chat'>[]): Promise<Result[]> {
  const deleted = await readDeletedKeys(
    client,
    'chat',
    lines.map(({ said }) => said.key),
  );
  const known = await lockNamedChats(client, [...deleted]);
  const results: Result[] = [];
  for (const { said } of lines) {
    if (deleted.has(said.key) && !known.has(said.key)) {
      results.push(refused(['chat', 'key'], 'the chat with this key has been deleted'));
      continue;
    }
    // Only this SQL function can create a chat without sending events.
    const { rows } = await client.query<{ id: bigint | null }>(
      'select begin_chat_import($1, $2, $3, $4, $5, coalesce($6, now())) as id',
      [said.key, said.type, said.name, said.description, said.custom, said.createdAt ?? null],
    );
    const isNew = rows[0]?.id !== null;
    results.push(isNew ? { outcome: 'created' } : await findOwn(client, said.key));
  }
  return results;
}

async function findOwn(client: Queryable, key: string): Promise<Result> {
  const chat = (await lockNamedChats(client, [key])).get(key);
  if (chat?.isImported === true) return { outcome: 'skipped' };
  return refused(['chat', 'key'], 'there is a chat with this key that was not created by an import');
}

/** Records who will become a member of each chat when its import ends. */
export async function importMembers(client: Queryable, lines: readonly Numbered<'member'>[]): Promise<Result[]> {
  const chats = await lockNamedChats(
    client,
    lines.map(({ said }) => said.chat),
  );
  const { rows } = await client.query<{ index: number; userId: bigint; isMember: boolean }>(
    `select w.index::int as index, u.id as "userId",
      exists (select from members m where m.chat_id = w.chat_id and m.user_id = u.id) as "isMember"
    from ${unnest('$1::bigint[]', '$2::text[]')} with ordinality as w (chat_id, user_key, index)
    join users u on u.key = w.user_key and u.deleted_at is null`,
    [lines.map(({ said }) => chats.get(said.chat)?.id ?? null), lines.map(({ said }) => said.user)],
  );
  const users = new Map(rows.map((row) => [row.index - 1, row]));
  const results = lines.map(({ said }, index): Result => {
    const user = users.get(index);
    const refusal = refuseChat(chats.get(said.chat), ['member', 'chat']);
    // The import recorded its members before it ended. Members who have left since then do not come back.
    if (refusal !== null && chats.get(said.chat)?.isImported === true) {
      return user?.isMember === true ? { outcome: 'skipped' } : { outcome: 'skipped', note: notAdded };
    }
    if (refusal !== null) return refusal;
    return user === undefined ? refused(['member', 'user'], 'there is no user with this key') : { outcome: 'created' };
  });
  const taken = lines.flatMap(({ said }, index) => {
    const [chat, user] = [chats.get(said.chat), users.get(index)];
    return results[index]?.outcome === 'created' && chat !== undefined && user !== undefined
      ? [{ index, chatId: chat.id, userId: user.userId, role: said.role, joinedAt: said.joinedAt ?? null }]
      : [];
  });
  const created = await insertMembers(client, taken);
  return results.map((result, index) =>
    result.outcome === 'created' && !created.has(index) ? { outcome: 'skipped' } : result,
  );
}

const notAdded = { path: ['member', 'user'], message: 'is not a member, and the import of this chat has ended' };

type TakenMember = { index: number; chatId: bigint; userId: bigint; role: string; joinedAt: Date | null };

/** Returns the indexes of the members who had not been recorded yet. */
async function insertMembers(client: Queryable, members: readonly TakenMember[]): Promise<Set<number>> {
  const firsts = new Map<string, TakenMember>();
  for (const member of members) {
    const name = `${member.chatId} ${member.userId}`;
    if (!firsts.has(name)) firsts.set(name, member);
  }
  const listed = [...firsts.values()];
  const { rows } = await client.query<{ chatId: bigint; userId: bigint }>(
    `insert into import_members (chat_id, user_id, role, joined_at)
    select w.chat_id, w.user_id, w.role::member_role, coalesce(w.joined_at, c.created_at)
    from ${unnest('$1::bigint[]', '$2::bigint[]', '$3::text[]', '$4::timestamptz[]')} as w (chat_id, user_id, role, joined_at)
    join chats c on c.id = w.chat_id
    on conflict do nothing returning chat_id as "chatId", user_id as "userId"`,
    [
      listed.map(({ chatId }) => chatId),
      listed.map(({ userId }) => userId),
      listed.map(({ role }) => role),
      listed.map(({ joinedAt }) => joinedAt),
    ],
  );
  return new Set(rows.flatMap(({ chatId, userId }) => firsts.get(`${chatId} ${userId}`)?.index ?? []));
}

/** Ends the imports of chats: the members of each chat receive one NewChat event, and all messages count as read. */
export async function endChats(client: Queryable, lines: readonly Numbered<'end'>[]): Promise<Result[]> {
  await allowMinutes(client);
  const chats = await lockNamedChats(
    client,
    lines.map(({ said }) => said.chat),
  );
  const results: Result[] = [];
  for (const { said } of lines) results.push(await endChat(client, chats.get(said.chat)));
  return results;
}

async function endChat(client: Queryable, chat: NamedChat | undefined): Promise<Result> {
  const refusal = refuseChat(chat, ['end', 'chat']);
  if (chat?.isImported === true && !chat.isOpen) return { outcome: 'skipped' };
  if (refusal !== null) return refusal;
  // The savepoint to roll back to if this line fails, so that the other lines can continue. Raw SQL, because the
  // function that ends the import also drafts the NewChat event.
  await client.query('savepoint before_end');
  try {
    const { rows } = await client.query<{ ended: boolean }>('select end_chat_import($1) as ended', [chat?.id]);
    return { outcome: rows[0]?.ended === true ? 'created' : 'skipped' };
  } catch (error) {
    const problem = problems[constraintOf(error) ?? ''];
    if (problem === undefined) throw error;
    await client.query('rollback to savepoint before_end');
    return refused(['end', 'chat'], problem);
  }
}

const problems: Record<string, string> = {
  a_single_chat_is_a_pair: 'a single chat has one or two members',
  a_single_chat_keeps_its_pair: 'one of the two people has been erased since the import began: discard the chat',
  single_chats_low_user_id_high_user_id_key: 'the two people already have a single chat',
};

/** Deletes chats whose import has not ended, so that their import can start over. */
export async function discardChats(client: Queryable, lines: readonly Numbered<'discard'>[]): Promise<Result[]> {
  await allowMinutes(client);
  const chats = await lockNamedChats(
    client,
    lines.map(({ said }) => said.chat),
  );
  const results = lines.map(({ said }): Result => {
    const chat = chats.get(said.chat);
    if (chat === undefined) return { outcome: 'skipped' };
    return refuseChat(chat, ['discard', 'chat']) ?? { outcome: 'created' };
  });
  const ids = lines.flatMap(({ said }, index) =>
    results[index]?.outcome === 'created' ? (chats.get(said.chat)?.id ?? []) : [],
  );
  await client.query('delete from chats where id = any ($1) and is_importing', [ids]);
  return results;
}
