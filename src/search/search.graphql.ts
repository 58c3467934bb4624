import { MessageRef } from '../message/message.ref.ts';
import { chatById } from '../chat/chat.ts';
import type { Asker } from '../core/asker.ts';
import type { Message } from '../postgres/generated/prisma/client.ts';
import { defaultPageSize, encodeCursor, readPage } from '../postgres/page.ts';
import {
  countMessages,
  listOf,
  maxCounted,
  maxSearchLength,
  maxSearchWords,
  readRequest,
  searchMessages,
  type ReadSearch,
} from './search.ts';
import type { SearchFilter } from './search-statement.ts';
import type { Span } from './search-text.ts';
import { searchCost } from './search-turn.ts';
import { makeSnippet, maxRanges, maxSnippetLength, type Snippet } from './snippet.ts';
import { builder } from '../api/builder.ts';
import { fromEdges, pageComplexity } from '../api/connection.ts';
import { requireAsker } from '../api/context.ts';
import { asciiSize, textSize } from '../api/field-size.ts';
import { decodeId } from '../core/id.ts';
import { defineFeature } from '../api/feature.ts';

defineFeature('SEARCH');

const MessagePartRef = builder.enumType('MessagePart', {
  values: {
    FILE: { description: 'The message has at least one file.' },
    PICTURE: { description: 'The message has at least one picture.' },
    LINK: { description: 'The message contains a URL that begins with http:// or https://.' },
  },
});

const MessageSortRef = builder.enumType('MessageSort', {
  values: {
    NEWEST: {},
    OLDEST: {},
    RELEVANCE: {
      description: `The newest ${maxCounted.toLocaleString('en')} matches, best match first: whole words rank above beginnings of words, and words with the same accents as the query rank above those without.`,
    },
  },
});

const MessageFilter = builder.inputType('MessageFilter', {
  description: 'A message must match every filter that is set.',
  fields: (t) => ({
    chatId: t.id(),
    senderId: t.id(),
    sentAfter: t.field({ type: 'DateTime' }),
    sentBefore: t.field({ type: 'DateTime' }),
    has: t.field({ type: MessagePartRef }),
    mentionsViewer: t.boolean({
      description: 'Whether the message mentions the viewer, or everyone in a chat that the viewer is a member of.',
    }),
    isPinned: t.boolean(),
  }),
});

const TextRangeRef = builder.objectRef<Span>('TextRange').implement({
  description: 'Measured in code points; `end` is exclusive.',
  fields: (t) => ({ start: t.exposeInt('start'), end: t.exposeInt('end') }),
});

type FoundEdge = { cursor: string; node: Message; snippet: () => Snippet };

const MessageSearchEdgeRef = builder.objectRef<FoundEdge>('MessageSearchEdge').implement({
  fields: (t) => ({
    cursor: t.exposeString('cursor', { extensions: asciiSize(100) }),
    node: t.field({ type: MessageRef, resolve: ({ node }) => node }),
    snippet: t.string({
      description:
        'The part of the message around the first match, on one line, or the beginning of the message if nothing is matched.',
      extensions: textSize(maxSnippetLength),
      resolve: ({ snippet }) => snippet().text,
    }),
    ranges: t.field({
      type: [TextRangeRef],
      description: 'The parts of `snippet` to highlight.',
      complexity: { field: 1, multiplier: maxRanges },
      resolve: ({ snippet }) => snippet().ranges,
    }),
  }),
});

type FoundPage = ReturnType<typeof fromEdges<Message>> & { edges: FoundEdge[]; asker: Asker; request: ReadSearch };

const MessageSearchConnectionRef = builder.objectRef<FoundPage>('MessageSearchConnection').implement({
  fields: (t) => ({
    edges: t.field({
      type: [MessageSearchEdgeRef],
      complexity: { field: 1, multiplier: 1 },
      resolve: ({ edges }) => edges,
    }),
    pageInfo: t.field({ type: builder.pageInfoRef(), resolve: ({ pageInfo }) => pageInfo }),
    totalCount: t.int({
      description: `Counted up to ${maxCounted.toLocaleString('en')}.`,
      // This cost counts once for each row of a page, which has 50 rows by default.
      complexity: searchCost / defaultPageSize,
      resolve: ({ asker, request }, _, { searches }) => countMessages(searches, asker, request),
    }),
  }),
});

type FilterArgument = typeof MessageFilter.$inferInput;

function readFilter(filter: FilterArgument | null | undefined): SearchFilter {
  return {
    chatId: filter?.chatId == null ? null : decodeId('Chat', filter.chatId, ['filter', 'chatId']),
    senderId: filter?.senderId == null ? null : decodeId('User', filter.senderId, ['filter', 'senderId']),
    sentAfter: filter?.sentAfter ?? null,
    sentBefore: filter?.sentBefore ?? null,
    has: filter?.has ?? null,
    mentionsViewer: filter?.mentionsViewer ?? null,
    isPinned: filter?.isPinned ?? null,
  };
}

builder.queryField('searchMessages', (t) =>
  t.field({
    type: MessageSearchConnectionRef,
    description: `Searches all messages that the viewer may read; a new message is found within a second. All words must match, and each can be the beginning of a word; case and accents are ignored. "A phrase" in quotes matches whole words in this order, \`-word\` excludes a word, and \`or\` separates alternatives. Without \`query\`, finds everything that matches \`filter\`; without either, finds nothing. The default order is NEWEST. The query can have up to ${maxSearchLength} characters and ${maxSearchWords} words.`,
    args: {
      query: t.arg.string(),
      filter: t.arg({ type: MessageFilter }),
      sort: t.arg({ type: MessageSortRef }),
      first: t.arg.int(),
      after: t.arg.string(),
    },
    complexity: (args) => ({ ...pageComplexity(args), field: searchCost }),
    resolve: async (_, { query, filter, sort: requestedSort, ...args }, context) => {
      const asker = requireAsker(context);
      const sort = requestedSort ?? 'NEWEST';
      const request = readRequest({ text: query ?? null, filter: readFilter(filter) });
      const page = readPage(args, listOf(sort));
      const { rows, ...found } = await searchMessages(context.searches, asker, { request, sort, page });
      // Use the chats that were read along with the messages. If the chats were loaded again and one of them had been
      // deleted in the meantime, the whole page would fail.
      for (const { chat } of rows) context.loaders.of(chatById).prime(chat.id, chat);
      const edges = rows.map(({ message, key }): FoundEdge => {
        let snippet: Snippet | undefined;
        const read = () => (snippet ??= makeSnippet(message.content ?? '', request?.query ?? []));
        return { cursor: encodeCursor(listOf(sort), key), node: message, snippet: read };
      });
      return { ...fromEdges<Message>(found, edges), edges, asker, request };
    },
  }),
);
