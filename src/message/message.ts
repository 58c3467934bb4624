import type { Db } from '../postgres/client.ts';
import type { Message } from '../postgres/generated/prisma/client.ts';
import type { GroupCommit } from '../chat/group-commit.ts';
import { userById } from '../people/user.ts';
import { columns, nested } from '../postgres/columns.ts';
import { isVisiblePerson, visibleFrom } from '../chat/visibility.ts';
import { InvalidInput, NotFound, type FieldError } from '../errors.ts';
import { maxFiles } from '../file/file.ts';
import { messageWrites } from './message-write.ts';
import { readCustom, type Custom } from '../core/custom.ts';
import { maxContentLength, maxNameLength, readLine, readText } from '../core/text.ts';
import { askerKey, type Asker } from '../core/asker.ts';
import { defineLoader, type Prime } from '../postgres/loader.ts';
import { pairOne } from '../postgres/pairing.ts';
import { unnest } from '../postgres/unnest.ts';

/**
 * A message to send. `clientMessageId` is the sender's own id for the message. Sending again with the same id does not
 * create a second message.
 */
export type NewMessage = {
  chatId: bigint;
  content: string;
  /** The sender's own uploads, in display order. If there are files, `content` may be empty. */
  fileIds: readonly bigint[];
  replyToId: bigint | null;
  clientMessageId: string | null;
  custom: Custom;
};

/** The id of a message, and the asker who reads it. */
export type MessageReader = { messageId: bigint; asker: Asker };

const sender = nested.user('s');

/**
 * Loads messages by id; null for a message that the asker cannot see. The same statement also reads the senders, which
 * nearly every query selects.
 */
export const visibleMessageById = defineLoader({
  load: readVisibleMessages,
  keyOf: ({ messageId, asker }: MessageReader) => `${messageId} ${askerKey(asker)}`,
});

/**
 * Raw SQL at a third of Prisma's cost, because this runs for `node`, for `nodes` and for every mutation of a message.
 */
async function readVisibleMessages(
  { pool }: Db,
  readers: readonly MessageReader[],
  prime: Prime,
): Promise<(Message | null)[]> {
  const { rows } = await pool.query<Message & { index: number; sender: unknown }>({
    name: 'visible_messages',
    text: `select reader.index::int as index, ${columns.message('m')}, ${sender.columnWhen('s.id is not null')} as sender
    from ${unnest('$1::bigint[]', '$2::bigint[]')} with ordinality as reader (message_id, user_id, index)
    join messages m on m.id = reader.message_id
    join chats c on c.id = m.chat_id
    left join users s on s.id = m.sender_id and ${isVisiblePerson('s')}
    where m.seq >= ${visibleFrom('c', 'reader.user_id')}`,
    values: [readers.map(({ messageId }) => messageId), readers.map(({ asker }) => asker.userId)],
  });
  for (const { index, senderId, sender: found } of rows) {
    if (senderId !== null) prime(index - 1, userById, { key: senderId, value: sender.take(found) });
  }
  return pairOne(rows, readers, { value: (row): Message => row, missing: null });
}

/** Returns the message. Throws NotFound if it does not exist or the asker cannot see it. */
export async function requireVisibleMessage(db: Db, asker: Asker, messageId: bigint): Promise<Message> {
  const [message] = await readVisibleMessages(db, [{ messageId, asker }], () => {});
  if (message == null) throw new NotFound('There is no such message.');
  return message;
}

/**
 * Sends a message to a chat that the asker is a member of. The members receive NewMessage after the commit. Sending the
 * same request again with the same clientMessageId returns the first message.
 * Throws InvalidInput for bad content, files, custom data, replyToId or clientMessageId. Throws NotFound for a chat
 * that the asker cannot see, to hide that it exists. Throws Forbidden for a chat that the asker may not write in.
 * Throws RateLimited while slow mode makes the asker wait. Throws Conflict if a different request reuses the
 * clientMessageId.
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
