import { requireVisibleChat } from '../chat/chat.ts';
import type { ServerKey } from '../core/asker.ts';
import { decodeId } from '../core/id.ts';
import { Forbidden, InvalidInput } from '../errors.ts';
import { parseCursor, type Cursor } from '../log/cursor.ts';
import { builder } from './builder.ts';
import { requireAsker, requireProgram } from './context.ts';
import { EnvelopeRef } from './event.ref.ts';
import { EventRequest } from './event-request.ts';

builder.subscriptionField('events', (t) =>
  t.field({
    type: EnvelopeRef,
    description: `Every event that concerns the viewer, exactly once and in commit order. With \`after\`, the subscription first replays the events since that cursor. CaughtUp marks the point where live events start; without \`after\`, it is the first event. When you reconnect, send the last cursor that you received. An object in an event shows its state at the time of delivery. If the object no longer exists by then, the event is left out, because the event that removed it follows.`,
    args: { after: t.arg.string() },
    subscribe: (_, { after }, context) =>
      new EventRequest(requireAsker(context), null, readCursor(context.lastEventId ?? after ?? context.askedAt)),
    resolve: (envelope) => envelope,
  }),
);

builder.subscriptionField('chatEvents', (t) =>
  t.field({
    type: EnvelopeRef,
    description:
      'Every event of one chat, under the same rules as `events`. You can follow a public channel without joining it.',
    args: { chatId: t.arg.id({ required: true }), after: t.arg.string() },
    subscribe: async (_, { chatId, after }, context) => {
      const asker = requireAsker(context);
      const chat = await requireVisibleChat(context.db, asker, decodeId('Chat', chatId, ['chatId']));
      return new EventRequest(asker, chat, readCursor(context.lastEventId ?? after ?? context.askedAt));
    },
    resolve: (envelope) => envelope,
  }),
);

builder.subscriptionField('allEvents', (t) =>
  t.field({
    type: EnvelopeRef,
    description: `For a program whose key has MESSAGES_READ and that does not act as a user. Includes every event of all chats, except Typing and events for only one person, and UserUpdated for all users. The same rules as for \`events\` apply, but the program sees the whole history. Fields that depend on a viewer are null, false or empty. Lists of messages and files, and the URLs of files, are not available without a user.`,
    args: { after: t.arg.string() },
    subscribe: (_, { after }, context) => {
      const { keyId, scopes, botId, expiresAt, ...program } = requireProgram(context, 'MESSAGES_READ');
      if ('isActing' in program && program.isActing) {
        throw new Forbidden('A program reads the whole server as itself: leave out the header parley-act-as.');
      }
      const own = 'sessionId' in program ? { botSessionId: program.sessionId } : {};
      const key: ServerKey = { kind: 'KEY', keyId, scopes, botId, expiresAt, userId: null, ...own };
      return new EventRequest(key, null, readCursor(context.lastEventId ?? after ?? context.askedAt));
    },
    resolve: (envelope) => envelope,
  }),
);

function readCursor(after: string | null | undefined): Cursor | null {
  if (after == null) return null;
  const cursor = parseCursor(after);
  if (cursor === null)
    throw new InvalidInput([{ path: ['after'], code: 'MALFORMED', message: 'must be a cursor from this server' }]);
  return cursor;
}
