import { UserRef } from '../people/user.ref.ts';
import { userById } from '../people/user.ts';
import type { User } from '../postgres/generated/prisma/client.ts';
import { encodeId } from '../core/id.ts';
import { defineNotice } from '../api/event.ts';
import { startTyping } from './typing.ts';
import { builder } from '../api/builder.ts';
import { requireAsker } from '../api/context.ts';
import { decodeId } from '../core/id.ts';
import { defineFeature } from '../api/feature.ts';

defineFeature('TYPING');

builder.mutationField('startTyping', (t) =>
  t.boolean({
    description:
      'For a few seconds, shows the other members that the viewer is typing. Call it again while the viewer continues to type. Returns false if the viewer may not write there because they are not a member, are blocked or are muted.',
    args: { chatId: t.arg.id({ required: true }) },
    resolve: async (_, { chatId: id }, context) => {
      const asker = requireAsker(context);
      const chatId = decodeId('Chat', id, ['chatId']);
      const typing = { chatId, userId: asker.userId };
      const isDue = context.typing.lets(typing);
      const isMember = await startTyping(context.db, asker, { chatId, isDue, channel: context.typing.channel });
      if (!isMember) context.typing.forget(typing);
      return isMember;
    },
  }),
);

defineNotice('Typing', {
  description:
    'Neither stored nor replayed; the envelope repeats the last cursor of the stream. Show it for 5 seconds, because the event is sent again every 3 seconds while the person is typing.',
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
