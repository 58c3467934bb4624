import { isEmpty } from '../core/custom.ts';
import type { Queryable } from '../postgres/client.ts';
import { refused, type Numbered, type Result } from './batch.ts';
import { lockNamedChats, readUserIds, refuseChat, type NamedChat } from './imported-chat.ts';
import type { Said } from './import-line.ts';
import { unnest } from '../postgres/unnest.ts';

type Placed = { chatId: bigint; seq: number; senderId: bigint; replyToSeq: number | null; said: Said['message'] };

/**
 * Adds messages to chats whose import has not ended, in the order of the lines. A message whose key already exists is
 * left unchanged. The sender does not have to be a member, because former members wrote messages too.
 */
export async function importMessages(client: Queryable, lines: readonly Numbered<'message'>[]): Promise<Result[]> {
  const chats = await lockNamedChats(
    client,
    lines.map(({ said }) => said.chat),
  );
  const senders = await readUserIds(
    client,
    lines.map(({ said }) => said.sender),
  );
  const seqs = await readSeqs(client, chats, lines);
  const placed: Placed[] = [];
  const results = lines.map(({ said }): Result => {
    const chat = chats.get(said.chat);
    const name = chat === undefined ? '' : nameOf(chat.id, said.key);
    if (seqs.has(name)) return { outcome: 'skipped' };
    const refusal = refuseChat(chat, ['message', 'chat']);
    if (refusal !== null || chat === undefined) return refusal ?? refused(['message', 'chat'], 'there is no such chat');
    const senderId = senders.get(said.sender);
    if (senderId === undefined) return refused(['message', 'sender'], 'there is no user with this key');
    const replyToSeq = said.replyTo == null ? null : seqs.get(nameOf(chat.id, said.replyTo));
    if (replyToSeq === undefined) {
      return refused(['message', 'replyTo'], 'there is no earlier message with this key in the chat');
    }
    chat.lastSeq += 1;
    seqs.set(name, chat.lastSeq);
    placed.push({ chatId: chat.id, seq: chat.lastSeq, senderId, replyToSeq, said });
    return { outcome: 'created' };
  });
  await insert(client, placed);
  return results;
}

function nameOf(chatId: bigint, key: string): string {
  return `${chatId} ${key}`;
}

/**
 * Returns the seqs of the existing messages that the lines repeat or reply to, under the keys that `nameOf` returns.
 */
async function readSeqs(
  client: Queryable,
  chats: ReadonlyMap<string, NamedChat>,
  lines: readonly Numbered<'message'>[],
): Promise<Map<string, number>> {
  const wanted = lines.flatMap(({ said }) => {
    const chat = chats.get(said.chat);
    if (chat === undefined) return [];
    return [said.key, said.replyTo ?? []].flat().map((key) => ({ chatId: chat.id, key }));
  });
  const { rows } = await client.query<{ chatId: bigint; key: string; seq: number }>({
    name: 'imported_seqs',
    text: `select i.chat_id as "chatId", i.key, i.seq
    from ${unnest('$1::bigint[]', '$2::text[]')} as w (chat_id, key) join import_messages i using (chat_id, key)`,
    values: [wanted.map(({ chatId }) => chatId), wanted.map(({ key }) => key)],
  });
  return new Map(rows.map(({ chatId, key, seq }) => [nameOf(chatId, key), seq]));
}

async function insert(client: Queryable, messages: readonly Placed[]): Promise<void> {
  if (messages.length === 0) return;
  const places = [messages.map(({ chatId }) => chatId), messages.map(({ seq }) => seq)];
  await client.query({
    name: 'import_messages',
    text: `insert into messages (chat_id, seq, sender_id, content, reply_to_seq, created_at, edited_at, custom)
    select * from ${unnest('$1::bigint[]', '$2::int[]', '$3::bigint[]', '$4::text[]', '$5::int[]', '$6::timestamptz[]', '$7::timestamptz[]', '$8::jsonb[]')}`,
    values: [
      ...places,
      messages.map(({ senderId }) => senderId),
      messages.map(({ said }) => said.content),
      messages.map(({ replyToSeq }) => replyToSeq),
      messages.map(({ said }) => said.at),
      messages.map(({ said }) => said.editedAt ?? null),
      messages.map(({ said }) => (isEmpty(said.custom) ? '{}' : JSON.stringify(said.custom))),
    ],
  });
  await client.query({
    name: 'import_message_keys',
    text: `insert into import_messages (chat_id, seq, key) select * from ${unnest('$1::bigint[]', '$2::int[]', '$3::text[]')}`,
    values: [...places, messages.map(({ said }) => said.key)],
  });
}
