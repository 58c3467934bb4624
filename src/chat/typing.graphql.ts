import { UserRef } from '../people/user.ref.ts';
import { userById } from '../people/user.ts';
import type { User } from '../postgres/generated/prisma/client.ts';
import { encodeId } from '../core/id.ts';
import { defineNotice } from '../api/event.ts';
import { startTyping } from './typing.ts';
import { builder } from '../api/builder.ts';
import { requireAsker } from '../api/context.ts';
import { decodeId } from '../core/id.ts';

builder.mutationField('startTyping', (t) =>
  t.boolean({
    description:
      'Shown to the other members for a few seconds; send again while typing goes on. False where the viewer is no member.',
    args: { chatId: t.arg.id({ required: true }) },
    resolve: async (_, { chatId: id }, context) => {
      const asker = requireAsker(context);
      const chatId = decodeId('Chat', id, ['chatId']);
      const typing = { chatId, userId: asker.userId };
      const isDue = context.typing.lets(typing);
      const isMember = await startTyping(context.db, asker, { chatId, isDue });
      if (!isMember) context.typing.forget(typing);
      return isMember;
    },
  }),
);

defineNotice('Typing', {
  description:
    'Not stored, never replayed; its envelope repeats the last cursor of this stream. Show it for 5 seconds: it comes again, at most every 3, while typing goes on.',
  fields: (t) => ({
    chatId: t.id({ resolve: ({ chatId }) => encodeId('Chat', chatId) }),
    userId: t.id({ resolve: ({ userId }) => encodeId('User', userId) }),
    user: t.field({
      type: UserRef,
      nullable: true,
      resolve: ({ userId }, _, { loaders }): Promise<User | null> => loaders.of(userById).load(userId),
    }),
  }),
});
