import { messageByKey } from './message-loader.ts';
import { MessageRef } from './message.ref.ts';
import { sharedFromOf } from './shared-history.ts';
import { builder } from '../api/builder.ts';
import { findViewer, type Context } from '../api/context.ts';
import { ChatRef } from '../chat/chat.ref.ts';
import { visibleFromOf } from '../chat/visibility.ts';

builder.prismaObjectField(ChatRef, 'lastMessage', (t) =>
  t.field({
    type: MessageRef,
    nullable: true,
    description:
      'The newest message that the viewer can see, which may be a deleted one; null if there is none. In a subscription, this field is computed separately for each user only if part of the history is hidden from some members.',
    resolve: async ({ id: chatId, lastSeq: seq }, _, context) => {
      if (seq === 0) return null;
      const message = await context.loaders.of(messageByKey).load({ chatId, seq });
      return (await maySee(context, { chatId, seq })) ? message : null;
    },
  }),
);

/**
 * Call this function after reading the message, so that it refuses users who lost access to the chat before the message
 * was written.
 */
async function maySee(context: Context, { chatId, seq }: { chatId: bigint; seq: number }): Promise<boolean> {
  const { loaders, eventId } = context;
  if (eventId !== null) {
    const sharedFrom = await loaders.of(sharedFromOf).load({ chatId, eventId });
    // Everyone who receives the event can see the message, so it does not matter who asks.
    if (sharedFrom !== null && seq >= sharedFrom) return true;
  }
  const viewer = findViewer(context);
  const visibleFrom = viewer === null ? 1 : await loaders.of(visibleFromOf).load({ chatId, asker: viewer });
  return visibleFrom !== null && seq >= visibleFrom;
}
