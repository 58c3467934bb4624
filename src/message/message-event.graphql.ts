import { MessageEdgeRef, MessageRef } from './message.ref.ts';
import { defineEvent } from '../api/event.ts';
import { whenThere } from '../core/soon.ts';
import type { LoggedEvent } from '../log/event.ts';
import type { Loaders } from '../postgres/loader.ts';
import { encodeCursor, lists } from '../postgres/page.ts';
import { messageById } from './message-loader.ts';

function loadMessage({ messageId }: LoggedEvent, loaders: Loaders) {
  const found = messageId === null ? null : loaders.of(messageById).find(messageId);
  return whenThere(found, (message) => message && { message });
}

defineEvent('NewMessage', {
  load: loadMessage,
  fields: (t) => ({
    message: t.field({ type: MessageRef, resolve: ({ message }) => message }),
    edge: t.field({
      type: MessageEdgeRef,
      description: 'The edge to insert into a paginated list: its cursor is valid for `Chat.messages(after:)`.',
      resolve: ({ message }) => ({ cursor: encodeCursor(lists.messages, [message.seq]), node: message }),
    }),
  }),
});

defineEvent('MessageEdited', {
  load: loadMessage,
  fields: (t) => ({ message: t.field({ type: MessageRef, resolve: ({ message }) => message }) }),
});

defineEvent('MessageDeleted', {
  load: loadMessage,
  fields: (t) => ({ message: t.field({ type: MessageRef, resolve: ({ message }) => message }) }),
});
