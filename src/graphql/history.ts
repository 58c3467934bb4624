import { lists, readPage, readSize } from '../domain/page.ts';
import { builder } from './builder.ts';
import { pageComplexity, toConnection } from './connection.ts';
import { requireViewer } from './context.ts';
import { introduceChat } from './loaders.ts';
import { MessageConnectionRef } from './message.ts';
import { ChatRef } from './ref.ts';

/** How many messages are shown on each side of a place, unless asked for otherwise. */
const sideSize = 25;

builder.prismaObjectFields(ChatRef, (t) => ({
  messages: t.field({
    type: MessageConnectionRef,
    description: 'Oldest first; `last: 50` is the newest page.',
    args: t.arg.connectionArgs(),
    complexity: pageComplexity,
    resolve: async (chat, args, context) => {
      const request = readPage(args, lists.messages);
      const reader = { chatId: chat.id, userId: requireViewer(context).userId };
      introduceChat(context.loaders, chat);
      const page = await context.loaders.messages(request).load(reader);
      return toConnection(lists.messages, page, ({ seq }) => [seq]);
    },
  }),
  messagesAround: t.field({
    type: MessageConnectionRef,
    description:
      'The messages on both sides of a place in the chat: for a jump to a search hit or the first unread one.',
    args: { seq: t.arg.int({ required: true }), before: t.arg.int(), after: t.arg.int() },
    complexity: ({ before, after }) => ({
      field: 1,
      multiplier: Math.max(1, (before ?? sideSize) + 1 + (after ?? sideSize)),
    }),
    resolve: async (chat, { seq, before, after }, context) => {
      const reader = { chatId: chat.id, userId: requireViewer(context).userId };
      const place = BigInt(Math.max(seq, 0));
      introduceChat(context.loaders, chat);
      const [older, newer] = await Promise.all([
        context.loaders
          .messages({ limit: readSize(before, 'before', sideSize), isBackward: true, after: null, before: [place] })
          .load(reader),
        context.loaders
          .messages({
            limit: readSize(after, 'after', sideSize) + 1,
            isBackward: false,
            after: [place - 1n],
            before: null,
          })
          .load(reader),
      ]);
      const rows = [...older.rows, ...newer.rows];
      const page = { rows, hasPreviousPage: older.hasPreviousPage, hasNextPage: newer.hasNextPage };
      return toConnection(lists.messages, page, (message) => [message.seq]);
    },
  }),
}));
