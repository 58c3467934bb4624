import { maxPins, pinMessage, unpinMessage } from '../domain/pin.ts';
import { Forbidden, InvalidInput, NotFound } from '../errors.ts';
import { builder } from './builder.ts';
import { requireViewer } from './context.ts';
import { decodeId } from './id.ts';
import { forgetMessage, introduceChat } from './loaders.ts';
import { MessageRef } from './message.ts';
import { ChatRef } from './ref.ts';

builder.prismaObjectField(ChatRef, 'pinnedMessages', (t) =>
  t.field({
    type: [MessageRef],
    description: `Newest pin first, ${maxPins} at most; those of them that the viewer's history shows.`,
    complexity: { field: 1, multiplier: maxPins },
    resolve: async (chat, _, context) => {
      const { loaders } = context;
      const { id: chatId } = chat;
      introduceChat(loaders, chat);
      const pinned = await loaders.pinned.load(chatId);
      const hiddenBelow = pinned.length === 0 ? 1 : await loaders.hiddenBelow.load(chatId);
      // What nobody's history hides is the same for all, and nobody need be asked who they are.
      if (pinned.every(({ seq }) => seq >= hiddenBelow)) return pinned;
      const visibleFrom = await loaders.visibleFrom.load({ chatId, userId: requireViewer(context).userId });
      return pinned.filter(({ seq }) => visibleFrom !== null && seq >= visibleFrom);
    },
  }),
);

builder.mutationFields((t) => ({
  pinMessage: t.field({
    type: MessageRef,
    description: `For owners and admins, and for every member of a single chat or a group. A chat has ${maxPins} pins at most.`,
    errors: { types: [InvalidInput, NotFound, Forbidden] },
    args: { messageId: t.arg.id({ required: true }) },
    resolve: async (_, { messageId: id }, context) => {
      const messageId = decodeId('Message', id, ['messageId']);
      return forgetMessage(context.loaders, await pinMessage(context, requireViewer(context), { messageId }));
    },
  }),
  unpinMessage: t.field({
    type: MessageRef,
    description: 'By the same rules; where there is no pin nothing changes.',
    errors: { types: [NotFound, Forbidden] },
    args: { messageId: t.arg.id({ required: true }) },
    resolve: async (_, { messageId: id }, context) => {
      const messageId = decodeId('Message', id, ['messageId']);
      return forgetMessage(context.loaders, await unpinMessage(context, requireViewer(context), { messageId }));
    },
  }),
}));
