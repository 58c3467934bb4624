import { ViewerRef } from '../account/viewer.ref.ts';
import { builder } from '../api/builder.ts';
import { pageComplexity, toConnection } from '../api/connection.ts';
import { requireAsker, type Context } from '../api/context.ts';
import { defineFeature } from '../api/feature.ts';
import { asciiSize, textSize } from '../api/field-size.ts';
import { registerNode } from '../api/node.ts';
import { hasUser } from '../core/asker.ts';
import { effectiveRole } from '../core/server-role.ts';
import { decodeId } from '../core/id.ts';
import { maxNameLength } from '../core/text.ts';
import { Forbidden, InvalidInput, NotFound } from '../errors.ts';
import { UserRef } from '../people/user.ref.ts';
import { userById } from '../people/user.ts';
import type { Invite } from '../postgres/generated/prisma/client.ts';
import { lists, readPage } from '../postgres/page.ts';
import { chatAccessOf } from './chat-access.ts';
import { ChatRef } from './chat.ref.ts';
import { chatById } from './chat.ts';
import { InviteConnectionRef, InviteRef } from './invite.ref.ts';
import {
  createInvite,
  findInviteByCode,
  findInvites,
  invitesIn,
  maxInvites,
  maxInviteUses,
  revokeInvite,
} from './invite.ts';
import { joinByInvite } from './invite-use.ts';
import { may } from './permission.ts';
import { visibleFromOf } from './visibility.ts';

defineFeature('INVITES');

builder.node(InviteRef, {
  description:
    'A link that lets people into a chat, or only into the server. It reveals no more of the history than its creator can see, becomes permanently invalid when its creator no longer has a role that allows inviting, and never lets in a banned user.',
  id: { resolve: ({ id }) => String(id) },
  fields: (t) => ({
    code: t.exposeString('code', {
      extensions: asciiSize(64),
      description:
        'Anyone who knows the code can use the invite. If you also select `Error.code`, use an alias: `errorCode: code`.',
    }),
    chat: t.field({
      type: ChatRef,
      nullable: true,
      description: 'Null if the invite leads only to the server, or if the viewer cannot see the chat.',
      resolve: async ({ chatId }, _, context) => {
        const asker = context.asker();
        if (chatId === null || asker === null || !hasUser(asker)) return null;
        const visibleFrom = await context.loaders.of(visibleFromOf).load({ chatId, asker });
        return visibleFrom === null ? null : context.loaders.of(chatById).load(chatId);
      },
    }),
    chatName: t.string({
      nullable: true,
      extensions: textSize(maxNameLength),
      description: 'Null if the invite leads only to the server, or if the chat is a group without a name.',
      resolve: async ({ chatId }, _, { loaders }) =>
        chatId === null ? null : ((await loaders.of(chatById).load(chatId))?.name ?? null),
    }),
    createdBy: t.field({
      type: UserRef,
      nullable: true,
      description: 'Like `expiresAt` and `usesLeft`, null if the viewer may not create such invites.',
      resolve: async (invite, _, context) =>
        (await mayInvite(context, invite)) ? context.loaders.of(userById).load(invite.createdById) : null,
    }),
    expiresAt: t.field({
      type: 'DateTime',
      nullable: true,
      description: 'Null if the invite does not expire.',
      resolve: async (invite, _, context) => ((await mayInvite(context, invite)) ? invite.expiresAt : null),
    }),
    usesLeft: t.int({
      nullable: true,
      description: 'How many more people the invite lets in. Null if there is no limit.',
      resolve: async (invite, _, context) => ((await mayInvite(context, invite)) ? invite.usesLeft : null),
    }),
  }),
});

/**
 * Returns whether the asker may invite people to the chat, or to the server, to which the invite leads. If so, they
 * also see the invites of other people.
 */
async function mayInvite(context: Context, { chatId }: Invite): Promise<boolean> {
  const asker = context.asker();
  if (asker === null || !hasUser(asker)) return false;
  if (chatId === null) {
    const role = (await context.loaders.of(userById).load(asker.userId))?.serverRole ?? 'USER';
    return effectiveRole(asker, role) === 'ADMIN';
  }
  const access = await context.loaders.of(chatAccessOf).load({ chatId, asker });
  return access !== null && may(asker, 'createInvite', access);
}

registerNode('Invite', async (context, keys) => {
  const invites = await findInvites(context.db, requireAsker(context), keys.map(BigInt));
  return new Map(invites.map((invite) => [String(invite.id), invite]));
});

builder.prismaObjectField(ChatRef, 'invites', (t) =>
  t.field({
    type: InviteConnectionRef,
    nullable: true,
    description: 'The invites that can still be used, newest first. Null if the viewer may not invite people.',
    args: t.arg.connectionArgs(),
    complexity: pageComplexity,
    resolve: async ({ id: chatId }, args, context) => {
      const request = readPage(args, lists.invites);
      const asker = requireAsker(context);
      const access = await context.loaders.of(chatAccessOf).load({ chatId, asker });
      if (access === null || !may(asker, 'createInvite', access)) return null;
      const page = await context.loaders.ofPage(invitesIn, request).load(chatId);
      return toConnection(lists.invites, page, ({ id }) => [id]);
    },
  }),
);

builder.queryField('invite', (t) =>
  t.field({
    type: InviteRef,
    nullable: true,
    description:
      'The preview of an invite, which is visible to anyone who has the link, even if they are not signed in. People who cannot see the chat see only `chatName`. Null if the invite lets no one in.',
    args: { code: t.arg.string({ required: true }) },
    resolve: async (_, { code }, context) => {
      await context.limits.take('invitePreviews', { address: context.address });
      return findInviteByCode(context.db.pool, code);
    },
  }),
);

const CreateInviteInput = builder.inputType('CreateInviteInput', {
  fields: (t) => ({
    chatId: t.id({
      description: 'Null for an invite that leads only to the server, which only server admins can create.',
    }),
    maxUses: t.int({
      description: `How many people the invite lets in, up to ${maxInviteUses}. By default, there is no limit.`,
    }),
    expiresAt: t.field({ type: 'DateTime', description: 'By default, the invite does not expire.' }),
  }),
});

const JoinByInviteResult = builder.errorUnion('JoinByInviteResult', {
  types: [ChatRef, ViewerRef, NotFound, Forbidden],
  resolveType: (value) => (typeof value === 'object' && value !== null && 'asker' in value ? 'Viewer' : 'Chat'),
});

builder.mutationFields((t) => ({
  createInvite: t.field({
    type: InviteRef,
    description: `For members who may add other members or, without \`chatId\`, for server admins. A chat can have at most ${maxInvites} invites that can still be used.`,
    errors: { types: [InvalidInput, NotFound, Forbidden] },
    args: { input: t.arg({ type: CreateInviteInput, required: true }) },
    resolve: (_, { input }, context) =>
      createInvite(context.db, requireAsker(context), {
        chatId: input.chatId == null ? null : decodeId('Chat', input.chatId, ['chatId']),
        maxUses: input.maxUses ?? null,
        expiresAt: input.expiresAt ?? null,
      }),
  }),
  revokeInvite: t.field({
    type: InviteRef,
    description:
      'Ends an invite. For the creator of the invite, for owners and admins of its chat, and, if it has no chat, for server admins.',
    errors: { types: [NotFound, Forbidden] },
    args: { inviteId: t.arg.id({ required: true }) },
    resolve: (_, { inviteId }, context) =>
      revokeInvite(context.db, requireAsker(context), decodeId('Invite', inviteId, ['inviteId'])),
  }),
  joinByInvite: t.field({
    type: JoinByInviteResult,
    description:
      'Makes the viewer a member of the chat. Has no effect if the viewer is already a member. For an invite that leads only to the server, returns the viewer, who is already on the server.',
    args: { code: t.arg.string({ required: true }) },
    resolve: async (_, { code }, context) => {
      const asker = requireAsker(context);
      const chat = await joinByInvite(context.db, asker, code);
      return chat === null ? { asker } : ChatRef.addBrand(chat);
    },
  }),
}));
