import { createHash } from 'node:crypto';
import type { Queryable } from '../postgres/client.ts';
import type { Message } from '../postgres/generated/prisma/client.ts';
import type { LockedChat, WriteKind } from '../chat/group-commit.ts';
import type { Outcome } from '../postgres/batch-commit.ts';
import { columns } from '../postgres/columns.ts';
import { visibleFrom } from '../chat/visibility.ts';
import { isEmpty, type Custom } from '../core/custom.ts';
import { Conflict, InvalidInput, NotFound } from '../errors.ts';
import { Attachments, attachFiles } from './attachment.ts';
import { callsEveryone, insertMentions } from './mention.ts';
import { readChatAccesses, refuseWriting } from '../chat/chat-access.ts';
import { messageKeyOf } from './message-loader.ts';
import { SlowMode } from '../chat/slow-mode.ts';
import type { ChatAccess } from '../chat/permission.ts';
import type { Asker } from '../core/asker.ts';
import { unnest } from '../postgres/unnest.ts';

/** A message to send. The text of the message has been checked, but not whether the asker may send it. */
export type MessageWrite = {
  asker: Asker;
  chatId: bigint;
  content: string;
  fileIds: readonly bigint[];
  replyToId: bigint | null;
  clientMessageId: string | null;
  custom: Custom;
};

type Placed = MessageWrite & {
  seq: number;
  replyToSeq: number | null;
  mentionsEveryone: boolean;
  requestHash: Buffer;
};

/**
 * The decision about one message in the batch. `repeats` is the index in the batch of the message that this message
 * repeats.
 */
type Decision = { error: Error } | { placed: Placed } | { earlier: Message } | { repeats: number };

/**
 * Writes many messages with one insert. A separate statement reads the memberships after the chats are locked.
 * Removing a member takes the same lock, so this statement sees every removal that was committed earlier.
 */
export const messageWrites: WriteKind<MessageWrite, Message> = {
  async write(client, chats, inputs) {
    const slowMode = await SlowMode.read(client, chats, inputs);
    const decisions = await decide(client, { chats, slowMode }, inputs);
    const placed = decisions.flatMap((decision) => ('placed' in decision ? [decision.placed] : []));
    const inserted = await insert(client, placed);
    await insertMentions(client, placed);
    await attachFiles(client, withIds(placed, inserted));
    await slowMode.write(client);
    const messageOf = (decision: Decision | undefined): Message | undefined =>
      decision !== undefined && 'placed' in decision ? inserted.get(messageKeyOf(decision.placed)) : undefined;
    return decisions.map((decision, index): Outcome<Message> => {
      if ('error' in decision) return decision;
      const input = inputs[index];
      if (input !== undefined && 'earlier' in decision) return repeat(decision.earlier, input);
      const message = messageOf('repeats' in decision ? decisions[decision.repeats] : decision);
      if (message === undefined || input === undefined)
        return { error: new Error('the insert did not return a message') };
      return 'repeats' in decision ? repeat(message, input) : { value: message };
    });
  },
};

async function decide(
  client: Queryable,
  { chats, slowMode }: { chats: ReadonlyMap<bigint, LockedChat>; slowMode: SlowMode },
  inputs: MessageWrite[],
): Promise<Decision[]> {
  const accesses = await readChatAccesses(client, inputs);
  const replies = await readReplyTargets(client, inputs);
  const earlier = await readEarlier(client, inputs);
  const attachments = await Attachments.lock(client, inputs);
  const firstWithKey = new Map<string, number>();
  return inputs.map((input, index): Decision => {
    const access = accesses[index];
    const error = refuse(input, access, replies[index]);
    if (error !== null) return { error };
    const key = keyOf(input);
    const first = key === null ? undefined : (earlier.get(key) ?? firstWithKey.get(key));
    if (typeof first === 'number') return { repeats: first };
    if (first !== undefined) return { earlier: first };
    const chat = chats.get(input.chatId);
    if (chat === undefined || access === undefined) return { error: new NotFound('There is no such chat.') };
    const late = slowMode.refuse(input, access) ?? attachments.take(input);
    if (late !== null) return { error: late };
    slowMode.take(input, access);
    if (key !== null) firstWithKey.set(key, index);
    chat.lastSeq += 1;
    const seqs = { seq: chat.lastSeq, replyToSeq: replies[index] ?? null };
    const mentionsEveryone = callsEveryone(input, access);
    return { placed: { ...input, ...seqs, mentionsEveryone, requestHash: hashRequest(input) } };
  });
}

function refuse(input: MessageWrite, access: ChatAccess | undefined, replyToSeq: number | null | undefined) {
  if (access === undefined || access.visibleFrom === null) return new NotFound('There is no such chat.');
  const refusal = refuseWriting(input.asker, access);
  if (refusal !== null || input.replyToId === null || replyToSeq != null) return refusal;
  return new InvalidInput([
    { path: ['replyToId'], code: 'NOT_FOUND', message: 'there is no such message in this chat' },
  ]);
}

/**
 * Returns the seq of the message to which each input replies, or null if the input is not a reply or replies to a
 * message that the asker cannot see in that chat.
 */
async function readReplyTargets(client: Queryable, inputs: MessageWrite[]): Promise<(number | null)[]> {
  if (inputs.every(({ replyToId }) => replyToId === null)) return inputs.map(() => null);
  const { rows } = await client.query<{ index: number; seq: number }>({
    name: 'reply_targets',
    text: `select w.index::int as index, m.seq
    from ${unnest('$1::bigint[]', '$2::bigint[]', '$3::bigint[]')} with ordinality as w (chat_id, user_id, message_id, index)
    join chats c on c.id = w.chat_id
    join messages m on m.id = w.message_id and m.chat_id = w.chat_id and m.seq >= ${visibleFrom('c', 'w.user_id')}`,
    values: [
      inputs.map(({ chatId }) => chatId),
      inputs.map(({ asker }) => asker.userId),
      inputs.map(({ replyToId }) => replyToId),
    ],
  });
  const byIndex = new Map(rows.map(({ index, seq }) => [index, seq]));
  return inputs.map((_, index) => byIndex.get(index + 1) ?? null);
}

/** Returns the messages that have already been sent with these clientMessageIds, by `keyOf`. */
async function readEarlier(client: Queryable, inputs: MessageWrite[]): Promise<Map<string, Message>> {
  const named = inputs.filter(({ clientMessageId }) => clientMessageId !== null);
  if (named.length === 0) return new Map();
  const { rows } = await client.query<Message>({
    name: 'earlier_messages',
    text: `select ${columns.message('m')}
    from ${unnest('$1::bigint[]', '$2::text[]')} as w (sender_id, client_message_id)
    join messages m using (sender_id, client_message_id)`,
    values: [named.map(({ asker }) => asker.userId), named.map(({ clientMessageId }) => clientMessageId)],
  });
  return new Map(rows.map((row) => [`${row.senderId} ${row.clientMessageId}`, row]));
}

function withIds(placed: Placed[], inserted: ReadonlyMap<string, Message>) {
  return placed.flatMap((message) => {
    const id = inserted.get(messageKeyOf(message))?.id;
    return id === undefined ? [] : [{ id, fileIds: message.fileIds }];
  });
}

/**
 * Inserts the messages and returns their rows, by `messageKeyOf`.
 * Raw SQL, because it is part of the group commit.
 */
async function insert(client: Queryable, messages: Placed[]): Promise<Map<string, Message>> {
  if (messages.length === 0) return new Map();
  const { rows } = await client.query<Message>({
    name: 'insert_messages',
    text: `insert into messages as m
      (chat_id, seq, sender_id, content, reply_to_seq, client_message_id, request_hash, mentions_everyone,
      file_count, custom)
    select * from ${unnest('$1::bigint[]', '$2::int[]', '$3::bigint[]', '$4::text[]', '$5::int[]', '$6::text[]', '$7::bytea[]', '$8::bool[]', '$9::int[]', '$10::jsonb[]')}
    returning ${columns.message('m')}`,
    values: [
      messages.map(({ chatId }) => chatId),
      messages.map(({ seq }) => seq),
      messages.map(({ asker }) => asker.userId),
      messages.map(({ content }) => content),
      messages.map(({ replyToSeq }) => replyToSeq),
      messages.map(({ clientMessageId }) => clientMessageId),
      messages.map(({ requestHash }) => requestHash),
      messages.map(({ mentionsEveryone }) => mentionsEveryone),
      messages.map(({ fileIds }) => fileIds.length),
      messages.map(({ custom }) => (isEmpty(custom) ? '{}' : JSON.stringify(custom))),
    ],
  });
  return new Map(rows.map((row) => [messageKeyOf(row), row]));
}

/**
 * Returns the first message if the request is the same, or a Conflict if its clientMessageId is reused for a different
 * request.
 */
function repeat(first: Message, input: MessageWrite): Outcome<Message> {
  if (first.requestHash !== null && hashRequest(input).equals(first.requestHash)) return { value: first };
  return {
    error: new Conflict('You have already used this clientMessageId for another message.', ['clientMessageId']),
  };
}

/**
 * Returns the hash of the original request. The hash distinguishes a repeated request from a reused id even after the
 * message has been edited.
 */
function hashRequest({ chatId, content, replyToId, fileIds, custom }: MessageWrite): Buffer {
  const request = [String(chatId), content, replyToId === null ? null : String(replyToId)];
  // Without files or custom data, the hash is the same as before these features existed, because hashes from that time
  // are still in use.
  const withFiles = fileIds.length === 0 && isEmpty(custom) ? request : [...request, fileIds.map(String)];
  const asked = isEmpty(custom) ? withFiles : [...withFiles, custom];
  return createHash('sha256').update(JSON.stringify(asked)).digest();
}

function keyOf({ asker, clientMessageId }: MessageWrite): string | null {
  return clientMessageId === null ? null : `${asker.userId} ${clientMessageId}`;
}
