import { builder } from '../api/builder.ts';
import { requireAsker } from '../api/context.ts';
import { decodeId } from '../core/id.ts';
import { Forbidden, InvalidInput, NotFound } from '../errors.ts';
import { MemberRef } from './member.ref.ts';
import { muteMember, mutedUntilOf } from './mute.ts';

builder.prismaObjectField(MemberRef, 'mutedUntil', (t) =>
  t.field({
    type: 'DateTime',
    nullable: true,
    description: 'Until this time, the member can read but not write. There is no event when a mute ends by itself.',
    resolve: ({ chatId, userId }, _, { loaders }) => loaders.of(mutedUntilOf).load({ chatId, userId }),
  }),
);

builder.mutationField('muteMember', (t) =>
  t.field({
    type: MemberRef,
    description: 'Owners can mute anyone; admins can mute members who are neither owners nor admins.',
    errors: { types: [InvalidInput, NotFound, Forbidden] },
    args: {
      chatId: t.arg.id({ required: true }),
      userId: t.arg.id({ required: true }),
      until: t.arg({
        type: 'DateTime',
        description: 'Until this time, the member can read but not write. Null ends the mute.',
      }),
    },
    resolve: (_, { chatId, userId, until }, context) =>
      muteMember(context.db, requireAsker(context), {
        chatId: decodeId('Chat', chatId, ['chatId']),
        userId: decodeId('User', userId, ['userId']),
        until: until ?? null,
      }),
  }),
);
