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
    description: 'The users that the viewer has blocked, newest first.',
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
    description: `That user can no longer open a single chat with the viewer, write in an existing one, add the viewer to a chat, or see the presence of the viewer. They are not notified. Other chats that both users are in are not affected.`,
    errors: { types: [InvalidInput, NotFound] },
    args: { userId: t.arg.id({ required: true }) },
    resolve: (_, { userId }, context) =>
      blockUser(context.db, requireAsker(context), decodeId('User', userId, ['userId'])),
  }),
  unblockUser: t.field({
    type: UserRef,
    description: 'Lifts the block. Has no effect if the user is not blocked.',
    errors: { types: [InvalidInput, NotFound] },
    args: { userId: t.arg.id({ required: true }) },
    resolve: (_, { userId }, context) =>
      unblockUser(context.db, requireAsker(context), decodeId('User', userId, ['userId'])),
  }),
}));
