import { MessageEdgeRef, MessageRef } from './message.ref.ts';
import { defineEvent } from '../api/event.ts';
import type { LoggedEvent } from '../log/event.ts';
import type { Loaders } from '../postgres/loader.ts';
import { encodeCursor, lists } from '../postgres/page.ts';
import { messageById } from './message-loader.ts';

async function loadMessage({ messageId }: LoggedEvent, loaders: Loaders) {
  const message = messageId === null ? null : await loaders.of(messageById).load(messageId);
  return message && { message };
}

defineEvent('NewMessage', {
  load: loadMessage,
  fields: (t) => ({
    message: t.field({ type: MessageRef, resolve: ({ message }) => message }),
    edge: t.field({
      type: MessageEdgeRef,
      description: 'To insert into a paged list: its cursor is what `Chat.messages(after:)` takes.',
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
