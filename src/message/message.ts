import type { Db } from '../postgres/client.ts';
import type { Message } from '../postgres/generated/prisma/client.ts';
import type { GroupCommit } from '../chat/group-commit.ts';
import { columns } from '../postgres/columns.ts';
import { visibleFrom } from '../chat/visibility.ts';
import { InvalidInput, NotFound, type FieldError } from '../errors.ts';
import { maxFiles } from '../file/file.ts';
import { messageWrites } from './message-write.ts';
import { readCustom, type Custom } from '../core/custom.ts';
import { maxContentLength, maxNameLength, readLine, readText } from '../core/text.ts';
import { askerKey, type Asker } from '../core/asker.ts';
import { defineLoader } from '../postgres/loader.ts';

/**
 * A message to send. `clientMessageId` is the sender's own id: sending again with the same id creates no second
 * message.
 */
export type NewMessage = {
  chatId: bigint;
  content: string;
  /** The sender's own uploads, in display order. With files, `content` may be empty. */
  fileIds: readonly bigint[];
  replyToId: bigint | null;
  clientMessageId: string | null;
  custom: Custom;
};

/**
 * The messages with these ids that the asker can see, in no particular order. Raw SQL, at a third of Prisma's cost:
 * `node`, `nodes` and every mutation of a message run this.
 */
export async function findVisibleMessages(db: Db, asker: Asker, messageIds: readonly bigint[]): Promise<Message[]> {
  const { rows } = await db.pool.query<Message>({
    name: 'visible_messages',
    text: `select ${columns.message('m')}
    from messages m join chats c on c.id = m.chat_id
    where m.id = any ($1) and m.seq >= ${visibleFrom('c', '$2')}`,
    values: [messageIds, asker.userId],
  });
  return rows;
}

/** A message by its id, and the asker who reads it. */
export type MessageReader = { messageId: bigint; asker: Asker };

/** Messages by id; null for one that the asker cannot see. */
export const visibleMessageById = defineLoader({
  load: async (db, readers: readonly MessageReader[]): Promise<(Message | null)[]> => {
    const found = new Map<string, Message>();
    for (const [key, [first, ...others]] of Map.groupBy(readers, ({ asker }) => askerKey(asker))) {
      if (first === undefined) continue;
      const ids = [first, ...others].map(({ messageId }) => messageId);
      for (const message of await findVisibleMessages(db, first.asker, ids)) found.set(`${message.id} ${key}`, message);
    }
    return readers.map((reader) => found.get(readerKey(reader)) ?? null);
  },
  keyOf: readerKey,
});

function readerKey({ messageId, asker }: MessageReader): string {
  return `${messageId} ${askerKey(asker)}`;
}

/** The message. Throws NotFound if the asker cannot see it or it does not exist. */
export async function requireVisibleMessage(db: Db, asker: Asker, messageId: bigint): Promise<Message> {
  const [message] = await findVisibleMessages(db, asker, [messageId]);
  if (message === undefined) throw new NotFound('There is no such message.');
  return message;
}

/**
 * Sends a message to a chat that the asker is a member of; the members receive NewMessage after the commit. Sending the
 * same request again with the same clientMessageId returns the first message.
 * Throws InvalidInput for bad content, files, custom data or replyToId; NotFound to hide a chat that the asker cannot see; Forbidden
 * for one that they can only read, and for a muted member; RateLimited while slow mode makes them wait; Conflict if a
 * different request reuses the clientMessageId.
 */
export async function sendMessage(writes: GroupCommit, asker: Asker, input: NewMessage): Promise<Message> {
  return writes.submit(messageWrites, { ...checkNewMessage(input), asker });
}

function checkNewMessage(input: NewMessage): NewMessage {
  const errors: FieldError[] = [];
  const isBare = input.fileIds.length > 0 && input.content.trim() === '';
  const content = isBare ? '' : readText(input.content, ['content'], maxContentLength, errors);
  checkFileIds(input.fileIds, errors);
  const clientMessageId =
    input.clientMessageId === null ? null : readLine(input.clientMessageId, ['clientMessageId'], maxNameLength, errors);
  const custom = readCustom(input.custom, ['custom'], errors);
  if (errors.length > 0) throw new InvalidInput(errors);
  return { ...input, content, clientMessageId, custom };
}

function checkFileIds(fileIds: readonly bigint[], errors: FieldError[]): void {
  if (fileIds.length > maxFiles)
    errors.push({ path: ['fileIds'], code: 'TOO_MANY', message: `must not contain more than ${maxFiles} files` });
  const repeated = fileIds.findIndex((fileId, index) => fileIds.indexOf(fileId) < index);
  if (repeated !== -1)
    errors.push({ path: ['fileIds', String(repeated)], code: 'DUPLICATE', message: 'is listed twice' });
}
