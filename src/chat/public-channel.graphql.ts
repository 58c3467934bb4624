import { ChatConnectionRef } from './chat.ref.ts';
import { encodeNameCursor, readNamePage } from '../postgres/name-page.ts';
import { listPublicChannels, searchPublicChannels } from './public-channel.ts';
import { builder } from '../api/builder.ts';
import { fromEdges, pageComplexity } from '../api/connection.ts';
import { requireAsker } from '../api/context.ts';
import { searchCost } from '../search/search-turn.ts';

const listName = 'publicChannels';

builder.queryField('publicChannels', (t) =>
  t.field({
    type: ChatConnectionRef,
    description:
      'The public channels, ordered by name, except those that the viewer is banned from. With `search`, only the channels that match: each word of the search text must be the beginning of a word in the name.',
    args: { search: t.arg.string(), first: t.arg.int(), after: t.arg.string() },
    complexity: ({ search, ...args }) => ({ ...pageComplexity(args), field: search == null ? 1 : searchCost }),
    resolve: async (_, { search, ...args }, context) => {
      const asker = requireAsker(context);
      const request = readNamePage(args, listName);
      const page =
        search == null || search.trim() === ''
          ? await listPublicChannels(context.db.pool, asker, request)
          : await searchPublicChannels(context.searches, asker, { search, page: request });
      return fromEdges(
        page,
        page.rows.map(({ chat, key }) => ({ cursor: encodeNameCursor(listName, key), node: chat })),
      );
    },
  }),
);
