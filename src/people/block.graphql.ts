import { queryFromInfo } from '@pothos/plugin-prisma';
import { UserConnectionRef, UserRef } from './user.ref.ts';
import { ViewerRef } from '../account/viewer.ref.ts';
import { blockUser, listBlockedUsers, unblockUser } from './block.ts';
import { encodeCursor, lists, readPage } from '../postgres/page.ts';
import { InvalidInput, NotFound } from '../errors.ts';
import { builder } from '../api/builder.ts';
import { fromEdges, pageComplexity } from '../api/connection.ts';
import { requireAsker } from '../api/context.ts';
import { decodeId } from '../core/id.ts';

builder.objectField(ViewerRef, 'blockedUsers', (t) =>
  t.field({
    type: UserConnectionRef,
    description: 'Whom the viewer wants to hear nothing from, the newest first.',
    args: t.arg.connectionArgs(),
    complexity: pageComplexity,
    resolve: async ({ asker }, args, context, info) => {
      const node = { typeName: 'User', path: ['edges', 'node'] };
      const { select = null, include = null } = queryFromInfo({ context, info, ...node });
      const page = readPage(args, lists.blockedUsers);
      const { rows, ...rest } = await listBlockedUsers(context.db, asker, { page, blocked: { select, include } });
      const edges = rows.map(({ blockedAt, blockedId, blocked }) => ({
        cursor: encodeCursor(lists.blockedUsers, [BigInt(blockedAt.getTime()), blockedId]),
        node: blocked,
      }));
      return fromEdges(rest, edges);
    },
  }),
);

builder.mutationFields((t) => ({
  blockUser: t.field({
    type: UserRef,
    description: `From now on that person can neither open a single chat with the viewer nor write in the one they have, nor add the
viewer to a chat, nor see whether the viewer is here. They are not told. Chats that both are in stay as they are.`,
    errors: { types: [InvalidInput, NotFound] },
    args: { userId: t.arg.id({ required: true }) },
    resolve: (_, { userId }, context) =>
      blockUser(context.db, requireAsker(context), decodeId('User', userId, ['userId'])),
  }),
  unblockUser: t.field({
    type: UserRef,
    description: 'That person may do again what they could before. Nothing changes for one who is not blocked.',
    errors: { types: [InvalidInput, NotFound] },
    args: { userId: t.arg.id({ required: true }) },
    resolve: (_, { userId }, context) =>
      unblockUser(context.db, requireAsker(context), decodeId('User', userId, ['userId'])),
  }),
}));
