import { expect } from 'vitest';
import type pg from 'pg';
import { keyOf } from './chat.ts';
import type { Heard, Reader } from './reader.ts';
import type { Writer } from './writer.ts';

/** Returns the contents of a chat, from the first message to the last. */
export async function readChat(sql: pg.Pool, chatId: string): Promise<Heard[]> {
  const { rows } = await sql.query<Heard>('select seq, content from messages where chat_id = $1 order by seq', [
    keyOf(chatId),
  ]);
  return rows;
}

/** Resolves once each of the readers has received `count` more messages. */
export async function hearMore(readers: Reader[], count: number): Promise<void> {
  await Promise.all(
    readers.map((reader) => {
      const target = reader.heardCount + count;
      return reader.until(() => reader.heardCount >= target, `${count} more messages`);
    }),
  );
}

/**
 * Stops the writers, waits until the readers have received the last message, and compares them with the database. Each
 * reader must have received each message of these chats exactly once and in order, and no others. The database must
 * contain every message that was acknowledged to a writer.
 */
export async function expectWhole(
  sql: pg.Pool,
  chatIds: string[],
  { readers, writers }: { readers: Reader[]; writers: Writer[] },
): Promise<void> {
  await Promise.all(writers.map((writer) => writer.stop()));
  const written = new Map<string, Heard[]>();
  for (const chatId of chatIds) written.set(chatId, await readChat(sql, chatId));
  for (const reader of readers) {
    for (const [chatId, messages] of written) {
      const isThere = () => (reader.heardIn(chatId).at(-1)?.seq ?? 0) >= messages.length;
      await reader.until(isThere, `the end of chat ${keyOf(chatId)}`);
      expect(reader.heardIn(chatId)).toEqual(messages);
    }
    expect(reader.faults).toEqual([]);
    expect(reader.resets).toEqual([]);
  }
  const contents = new Set([...written.values()].flat().map(({ content }) => content));
  const lost = writers.flatMap(({ acknowledged }) => acknowledged).filter((content) => !contents.has(content));
  expect(lost).toEqual([]);
}
