import type { Chat } from '../database/generated/prisma/client.ts';
import { requireVisibleChat } from '../domain/chat.ts';
import type { Viewer } from '../domain/viewer.ts';
import { InvalidInput } from '../errors.ts';
import { parseCursor, type Cursor } from '../realtime/cursor.ts';
import { builder } from './builder.ts';
import { requireViewer } from './context.ts';
import { EnvelopeRef } from './event.ts';
import type { Envelope } from './event-subject.ts';
import { decodeId } from './id.ts';

/**
 * What an authorised subscription asks for: everything of the viewer's, or one chat; from a cursor on, or from now.
 * It is an AsyncIterable only in name, because graphql-js insists on one: events are pushed through shared executions
 * (`broadcast.ts`), which no iterator per subscriber could do.
 */
export class EventRequest implements AsyncIterable<Envelope> {
  readonly viewer: Viewer;
  readonly chatId: bigint | null;
  /** Whether anybody may follow that chat, as of when it was asked for. */
  readonly isPublic: boolean;
  readonly after: Cursor | null;

  constructor(viewer: Viewer, chat: Chat | null, after: Cursor | null) {
    this.viewer = viewer;
    this.chatId = chat?.id ?? null;
    this.isPublic = chat?.type === 'PUBLIC_CHANNEL';
    this.after = after;
  }

  [Symbol.asyncIterator](): AsyncIterator<Envelope> {
    throw new Error('events are streamed by http/stream only');
  }
}

builder.subscriptionField('events', (t) =>
  t.field({
    type: EnvelopeRef,
    description: `Everything that concerns the viewer, in commit order, each once. With \`after\` it first replays what
happened since that cursor. CaughtUp marks where it is live; without \`after\` it comes first. Send the
last cursor you saw when you reconnect. Objects show their state at delivery; an event whose subject
is gone by then is left out, for the event that removed it follows.`,
    args: { after: t.arg.string() },
    subscribe: (_, { after }, context) =>
      new EventRequest(requireViewer(context), null, readCursor(context.lastEventId ?? after ?? context.askedAt)),
    resolve: (envelope) => envelope,
  }),
);

builder.subscriptionField('chatEvents', (t) =>
  t.field({
    type: EnvelopeRef,
    description: 'The same for one chat; a public channel can be followed without joining.',
    args: { chatId: t.arg.id({ required: true }), after: t.arg.string() },
    subscribe: async (_, { chatId, after }, context) => {
      const viewer = requireViewer(context);
      const chat = await requireVisibleChat(context.db, viewer, decodeId('Chat', chatId, ['chatId']));
      return new EventRequest(viewer, chat, readCursor(context.lastEventId ?? after ?? context.askedAt));
    },
    resolve: (envelope) => envelope,
  }),
);

function readCursor(after: string | null | undefined): Cursor | null {
  if (after == null) return null;
  const cursor = parseCursor(after);
  if (cursor === null) throw new InvalidInput([{ path: ['after'], message: 'is not a cursor of this server' }]);
  return cursor;
}
