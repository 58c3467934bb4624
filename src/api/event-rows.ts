import { idKey } from '../core/id-key.ts';
import type { LoggedEvent } from '../log/event.ts';
import { messageById, primeMessage, readMessages, type MessageRow } from '../message/message-loader.ts';
import type { Db } from '../postgres/client.ts';
import type { Loaders } from '../postgres/loader.ts';

/**
 * The maximum number of messages that the publisher reads once for all nodes. For larger batches, which are rare, each
 * node reads the messages that it needs.
 */
const maxMessages = 500;

/**
 * Reads the data that nearly every document selects from these events: their messages, with senders and chats. Returns
 * the rows by event id, for `primeEventRows`. Runs one statement, or none if no event is about a message or if too many
 * are.
 */
export async function readEventRows(db: Db, events: readonly LoggedEvent[]): Promise<ReadonlyMap<bigint, unknown>> {
  const ids = [...new Set(events.flatMap(({ messageId }) => (messageId === null ? [] : [messageId])))];
  const found = ids.length === 0 || ids.length > maxMessages ? null : await readMessages(db, ids);
  const rows = new Map<bigint, MessageRow>();
  if (found === null) return rows;
  const shared = new Map([...found].map(([id, row]) => [id, withoutSecrets(row)]));
  for (const { id, messageId } of events) {
    const row = messageId === null ? undefined : shared.get(idKey(messageId));
    if (row !== undefined) rows.set(id, row);
  }
  return rows;
}

/**
 * Reads the data that nearly every document selects from these events, so that most events are rendered without
 * waiting. Never rejects.
 */
export async function prefetchEventRows(events: readonly LoggedEvent[], loaders: Loaders): Promise<void> {
  for (const event of events) primeEventRows(event, loaders);
  const ids = events.flatMap(({ messageId }) => (messageId === null ? [] : [messageId]));
  await loaders.of(messageById).prefetch(ids);
}

/** Passes the rows that came with an event to the loaders, unless the rows are too old. */
export function primeEventRows({ shared }: LoggedEvent, loaders: Loaders): void {
  // The cast is safe because messages from a node of another version are ignored, so the publisher's rows have this
  // type.
  if (shared !== undefined && performance.now() < shared.until) primeMessage(loaders, shared.rows as MessageRow);
}

/** No event shows these columns, so the publisher does not send them. */
function withoutSecrets({ message, sender, chat }: MessageRow): MessageRow {
  return {
    message: { ...message, requestHash: null },
    sender: sender && { ...sender, email: null },
    chat,
  };
}
