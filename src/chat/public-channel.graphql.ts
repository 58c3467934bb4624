import { ChatConnectionRef } from './chat.ref.ts';
import { encodeNameCursor, readNamePage } from '../postgres/name-page.ts';
import { listPublicChannels } from './public-channel.ts';
import { builder } from '../api/builder.ts';
import { fromEdges, pageComplexity } from '../api/connection.ts';
import { requireAsker } from '../api/context.ts';

const listName = 'publicChannels';

builder.queryField('publicChannels', (t) =>
  t.field({
    type: ChatConnectionRef,
    description: 'In order of name. With `search`, only those whose name contains it, ignoring case.',
    args: { search: t.arg.string(), first: t.arg.int(), after: t.arg.string() },
    complexity: pageComplexity,
    resolve: async (_, { search, ...args }, context) => {
      requireAsker(context);
      const page = await listPublicChannels(context.db, { search: search ?? null, page: readNamePage(args, listName) });
      return fromEdges(
        page,
        page.rows.map(({ chat, key }) => ({ cursor: encodeNameCursor(listName, key), node: chat })),
      );
    },
  }),
);
