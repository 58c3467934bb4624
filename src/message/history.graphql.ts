import { MessageConnectionRef } from './message.ref.ts';
import { ChatRef } from '../chat/chat.ref.ts';
import { lists, readPage, readSize } from '../postgres/page.ts';
import { builder } from '../api/builder.ts';
import { pageComplexity, toConnection } from '../api/connection.ts';
import { requireAsker } from '../api/context.ts';
import { chatById } from '../chat/chat.ts';
import { messagesIn } from './history.ts';

/** How many messages `messagesAround` returns by default on each side of the position. */
const sideSize = 25;

builder.prismaObjectFields(ChatRef, (t) => ({
  messages: t.field({
    type: MessageConnectionRef,
    description: 'Oldest first; `last: 50` returns the newest page.',
    args: t.arg.connectionArgs(),
    complexity: pageComplexity,
    resolve: async (chat, args, context) => {
      const request = readPage(args, lists.messages);
      const reader = { chatId: chat.id, asker: requireAsker(context) };
      context.loaders.of(chatById).prime(chat.id, chat);
      const page = await context.loaders.ofPage(messagesIn, request).load(reader);
      return toConnection(lists.messages, page, ({ seq }) => [seq]);
    },
  }),
  messagesAround: t.field({
    type: MessageConnectionRef,
    description:
      'The messages before and after a position in the chat, for jumping to a search result or to the first unread message.',
    args: {
      seq: t.arg.int({ required: true }),
      countBefore: t.arg.int({ description: `The number of older messages; ${sideSize} by default.` }),
      countAfter: t.arg.int({
        description: `The number of newer messages, not counting the one at \`seq\`; ${sideSize} by default.`,
      }),
    },
    complexity: ({ countBefore, countAfter }) => ({
      field: 1,
      multiplier: Math.max(1, (countBefore ?? sideSize) + 1 + (countAfter ?? sideSize)),
    }),
    resolve: async (chat, { seq, countBefore, countAfter }, context) => {
      const reader = { chatId: chat.id, asker: requireAsker(context) };
      const position = BigInt(Math.max(seq, 0));
      context.loaders.of(chatById).prime(chat.id, chat);
      const [older, newer] = await Promise.all([
        context.loaders
          .ofPage(messagesIn, {
            limit: readSize(countBefore, 'countBefore', sideSize),
            isBackward: true,
            after: null,
            before: [position],
          })
          .load(reader),
        context.loaders
          .ofPage(messagesIn, {
            limit: readSize(countAfter, 'countAfter', sideSize) + 1,
            isBackward: false,
            after: [position - 1n],
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
