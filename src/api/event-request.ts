import type { Caller } from '../core/asker.ts';
import type { Cursor } from '../log/cursor.ts';
import type { Chat } from '../postgres/generated/prisma/client.ts';
import type { Envelope } from './event.ts';

/**
 * What an authorised subscription asks for: all of the asker's events, the events of one chat, or (for a server key)
 * the events of all chats. The subscription starts at a cursor or now. This type is an AsyncIterable only in name,
 * because graphql-js requires one. Events are pushed through shared executions (`live/fan-out.ts`), which would not
 * work with a separate iterator for each subscriber.
 */
export class EventRequest implements AsyncIterable<Envelope> {
  readonly asker: Caller;
  readonly chatId: bigint | null;
  /** Whether the chat was open to every user when the request was made. */
  readonly isPublic: boolean;
  readonly after: Cursor | null;

  constructor(asker: Caller, chat: Chat | null, after: Cursor | null) {
    this.asker = asker;
    this.chatId = chat?.id ?? null;
    this.isPublic = chat?.type === 'PUBLIC_CHANNEL';
    this.after = after;
  }

  [Symbol.asyncIterator](): AsyncIterator<Envelope> {
    throw new Error('events are streamed by http/stream only');
  }
}
