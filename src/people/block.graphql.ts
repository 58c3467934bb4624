import { UserConnectionRef, UserRef } from './user.ref.ts';
import { ViewerRef } from '../account/viewer.ref.ts';
import { blockUser, listBlockedUsers, unblockUser } from './block.ts';
import { lists, readPage } from '../postgres/page.ts';
import { InvalidInput, NotFound } from '../errors.ts';
import { builder } from '../api/builder.ts';
import { pageComplexity, toConnection } from '../api/connection.ts';
import { requireAsker } from '../api/context.ts';
import { decodeId } from '../core/id.ts';

builder.objectField(ViewerRef, 'blockedUsers', (t) =>
  t.field({
    type: UserConnectionRef,
    description: 'Whom the viewer wants to hear nothing from, the newest first.',
    args: t.arg.connectionArgs(),
    complexity: pageComplexity,
    resolve: async ({ asker }, args, { db }) =>
      toConnection(
        lists.blockedUsers,
        await listBlockedUsers(db, asker, readPage(args, lists.blockedUsers)),
        ({ id, blockedAt }) => [blockedAt.getTime(), id],
      ),
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
