import { ChatRef } from './chat.ref.ts';
import { otherOf, pairOf } from './peer.ts';
import { builder } from '../api/builder.ts';
import { findViewer } from '../api/context.ts';
import { UserRef } from '../people/user.ref.ts';
import { userById } from '../people/user.ts';

builder.prismaObjectField(ChatRef, 'peer', (t) =>
  t.field({
    type: UserRef,
    nullable: true,
    description:
      'The other person in a single chat. Null in all other chats, and after the account of that person is erased. In a subscription, this field is computed separately for each user only in single chats.',
    resolve: async ({ id, type }, _, context) => {
      // In other chats, the peer is null for everyone, so it does not matter who asks.
      if (type !== 'SINGLE') return null;
      const viewer = findViewer(context);
      if (viewer === null) return null;
      const pair = await context.loaders.of(pairOf).load(id);
      const other = pair && otherOf(pair, viewer);
      return other === null ? null : context.loaders.of(userById).load(other);
    },
  }),
);
