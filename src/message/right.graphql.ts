import { builder } from '../api/builder.ts';
import { findViewer } from '../api/context.ts';
import { chatAccessOf } from '../chat/chat-access.ts';
import { MessageRef } from './message.ref.ts';
import { actionsOn, messageActions, type MessageAction } from './right.ts';

const MessageActionRef = builder.enumType('MessageAction', {
  description: 'Future versions will add more. PIN includes unpinning.',
  values: messageActions,
});

builder.prismaObjectField(MessageRef, 'viewerCan', (t) =>
  t.field({
    type: [MessageActionRef],
    description: 'What the viewer may currently do to this message, according to the rules that the mutations apply.',
    complexity: { field: 1, multiplier: messageActions.length },
    resolve: async (message, _, context): Promise<MessageAction[]> => {
      const asker = findViewer(context);
      if (asker === null) return [];
      const access = await context.loaders.of(chatAccessOf).load({ chatId: message.chatId, asker });
      return access === null ? [] : actionsOn({ asker, message, access });
    },
  }),
);
