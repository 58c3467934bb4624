import { MessageConnectionRef } from '../message/message.ref.ts';
import { chatById } from '../chat/chat.ts';
import { lists, readPage } from '../postgres/page.ts';
import { maxSearchLength, maxSearchWords, searchMessages } from './search.ts';
import { searchCost } from './search-turn.ts';
import { builder } from '../api/builder.ts';
import { pageComplexity, toConnection } from '../api/connection.ts';
import { requireAsker } from '../api/context.ts';
import { decodeId } from '../core/id.ts';
import { defineFeature } from '../api/feature.ts';

defineFeature('SEARCH');

const MessagePartRef = builder.enumType('MessagePart', {
  values: { FILE: { description: 'At least one file.' } },
});

const MessageFilter = builder.inputType('MessageFilter', {
  description: 'A message must match every filter that is set.',
  fields: (t) => ({
    chatId: t.id(),
    senderId: t.id(),
    sentAfter: t.field({ type: 'DateTime' }),
    sentBefore: t.field({ type: 'DateTime' }),
    has: t.field({ type: MessagePartRef }),
  }),
});

builder.queryField('searchMessages', (t) =>
  t.field({
    type: MessageConnectionRef,
    description: `Full-text search over every message that the viewer may read, newest first. All words must match; "a phrase" in quotes
matches exactly; \`-word\` excludes a word; \`or\` separates alternatives. The last word may be a prefix. Up to
${maxSearchLength} characters and ${maxSearchWords} words.`,
    args: {
      query: t.arg.string({ required: true }),
      filter: t.arg({ type: MessageFilter }),
      first: t.arg.int(),
      after: t.arg.string(),
    },
    complexity: (args) => ({ ...pageComplexity(args), field: searchCost }),
    resolve: async (_, { query, filter, ...args }, context) => {
      const asker = requireAsker(context);
      const { rows, ...page } = await searchMessages(context.searches, asker, {
        text: query,
        page: readPage(args, lists.foundMessages),
        filter: {
          chatId: filter?.chatId == null ? null : decodeId('Chat', filter.chatId, ['filter', 'chatId']),
          senderId: filter?.senderId == null ? null : decodeId('User', filter.senderId, ['filter', 'senderId']),
          sentAfter: filter?.sentAfter ?? null,
          sentBefore: filter?.sentBefore ?? null,
          hasFile: filter?.has === 'FILE',
        },
      });
      // Use the chats read together with the messages: if one chat were deleted before it is loaded again, that would
      // fail the whole page.
      for (const { chat } of rows) context.loaders.of(chatById).prime(chat.id, chat);
      return toConnection(lists.foundMessages, { ...page, rows: rows.map(({ message }) => message) }, ({ id }) => [id]);
    },
  }),
);
