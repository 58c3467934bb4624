import { builder } from '../api/builder.ts';
import { pageComplexity, toConnection } from '../api/connection.ts';
import { requireAsker } from '../api/context.ts';
import { textSize } from '../api/field-size.ts';
import { registerNode } from '../api/node.ts';
import { decodeId } from '../core/id.ts';
import { maxDescriptionLength } from '../core/text.ts';
import { Forbidden, InvalidInput, NotFound } from '../errors.ts';
import { UserRef } from '../people/user.ref.ts';
import { userById } from '../people/user.ts';
import { lists, readPage } from '../postgres/page.ts';
import { BanConnectionRef, BanRef } from './ban.ref.ts';
import { banMember, bansIn, findBans, unbanMember } from './ban.ts';
import { chatAccessOf } from './chat-access.ts';
import { ChatRef } from './chat.ref.ts';
import { may } from './permission.ts';

builder.node(BanRef, {
  description: 'A ban that is in force. Visible only to users who may ban members of the chat.',
  id: { resolve: ({ id }) => String(id) },
  fields: (t) => ({
    user: t.field({
      type: UserRef,
      nullable: true,
      description: 'Null after the account is erased.',
      resolve: ({ userId }, _, { loaders }) => loaders.of(userById).load(userId),
    }),
    until: t.expose('until', {
      type: 'DateTime',
      nullable: true,
      description: 'When the ban ends by itself. Null if the ban lasts until someone lifts it.',
    }),
    reason: t.exposeString('reason', { nullable: true, extensions: textSize(maxDescriptionLength) }),
    createdBy: t.field({
      type: UserRef,
      nullable: true,
      description:
        'Who imposed it. Null if the account of that user has been erased, or if the ban was imposed directly in the database.',
      resolve: ({ createdById }, _, { loaders }) =>
        createdById === null ? null : loaders.of(userById).load(createdById),
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime' }),
  }),
});

registerNode('Ban', async (context, keys) => {
  const bans = await findBans(context.db, requireAsker(context), keys.map(BigInt));
  return new Map(bans.map((ban) => [String(ban.id), ban]));
});

builder.prismaObjectField(ChatRef, 'bans', (t) =>
  t.field({
    type: BanConnectionRef,
    nullable: true,
    description: 'The bans in force, newest first. Null if the viewer may not ban members.',
    args: t.arg.connectionArgs(),
    complexity: pageComplexity,
    resolve: async ({ id: chatId }, args, context) => {
      const request = readPage(args, lists.bans);
      const asker = requireAsker(context);
      const access = await context.loaders.of(chatAccessOf).load({ chatId, asker });
      if (access === null || !may(asker, 'banMember', { ...access, targetRole: 'MEMBER' })) return null;
      const page = await context.loaders.ofPage(bansIn, request).load(chatId);
      return toConnection(lists.bans, page, ({ id }) => [id]);
    },
  }),
);

builder.mutationFields((t) => ({
  banMember: t.field({
    type: BanRef,
    description: `Removes the user from the chat, and prevents them from reading it and from becoming a member again until the ban ends.
You can also ban a user who is not a member. Banning a banned user again replaces the end and the reason of the ban. Owners can ban anyone else; admins can ban everyone except owners and admins.`,
    errors: { types: [InvalidInput, NotFound, Forbidden] },
    args: {
      chatId: t.arg.id({ required: true }),
      userId: t.arg.id({ required: true }),
      until: t.arg({
        type: 'DateTime',
        description: 'When the ban ends by itself. By default, the ban lasts until someone lifts it.',
      }),
      reason: t.arg.string({
        description: `1 to ${maxDescriptionLength} characters. The banned user can read it.`,
      }),
    },
    resolve: (_, { chatId, userId, until, reason }, context) =>
      banMember(context.db, requireAsker(context), {
        ...decodeBan(chatId, userId),
        until: until ?? null,
        reason: reason ?? null,
      }),
  }),
  unbanMember: t.field({
    type: ChatRef,
    description:
      'Lifts the ban, so that the user can join again or be added. Has no effect if the user is not banned. For users who may ban members.',
    errors: { types: [NotFound, Forbidden] },
    args: { chatId: t.arg.id({ required: true }), userId: t.arg.id({ required: true }) },
    resolve: (_, { chatId, userId }, context) =>
      unbanMember(context.db, requireAsker(context), decodeBan(chatId, userId)),
  }),
}));

function decodeBan(chatId: string, userId: string): { chatId: bigint; userId: bigint } {
  return { chatId: decodeId('Chat', chatId, ['chatId']), userId: decodeId('User', userId, ['userId']) };
}
