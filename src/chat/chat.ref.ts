import { builder } from '../api/builder.ts';
import { encodeId } from '../core/id.ts';

/** The kinds of chat. */
export const ChatTypeRef = builder.enumType('ChatType', {
  values: ['SINGLE', 'GROUP', 'PRIVATE_CHANNEL', 'PUBLIC_CHANNEL'] as const,
});

/** The type `Chat`, without its fields. */
export const ChatRef = builder.prismaNode('Chat', { id: { field: 'id' }, fields: () => ({}) });

/** A page of chats. */
export const ChatConnectionRef = builder.connectionObject(
  { type: ChatRef, name: 'ChatConnection' },
  { name: 'ChatEdge' },
);

/** A chat to which the viewer has lost access, so that only its id may be shown. */
export const ChatGoneRef = builder.objectRef<{ chatId: bigint }>('ChatGone').implement({
  description: 'A chat that was deleted, or that the viewer left.',
  fields: (t) => ({ chatId: t.id({ resolve: ({ chatId }) => encodeId('Chat', chatId) }) }),
});
