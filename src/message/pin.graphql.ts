import { MessageRef } from './message.ref.ts';
import { ChatRef } from '../chat/chat.ref.ts';
import { messageById } from './message-loader.ts';
import { defineEvent } from '../api/event.ts';
import { chatById } from '../chat/chat.ts';
import { hiddenBelowOf, visibleFromOf } from '../chat/visibility.ts';
import { maxPins, pinMessage, pinnedIn, unpinMessage } from './pin.ts';
import { sharedFromOf } from './shared-history.ts';
import { Forbidden, InvalidInput, NotFound } from '../errors.ts';
import { builder } from '../api/builder.ts';
import { findViewer, requireAsker } from '../api/context.ts';
import { decodeId } from '../core/id.ts';

builder.prismaObjectField(ChatRef, 'pinnedMessages', (t) =>
  t.field({
    type: [MessageRef],
    description: `The ${maxPins} newest pins, newest first, limited to the part of the history that the viewer can see.`,
    complexity: { field: 1, multiplier: maxPins },
    resolve: async (chat, _, context) => {
      const { loaders, eventId } = context;
      const { id: chatId } = chat;
      loaders.of(chatById).prime(chatId, chat);
      const pinned = await loaders.of(pinnedIn).load(chatId);
      if (pinned.length === 0) return pinned;
      // An event also reaches members who have lost access to the chat since then. Reading `sharedFrom` after the pins
      // ensures that the value takes every pin into account.
      const sharedFrom =
        eventId === null
          ? await loaders.of(hiddenBelowOf).load(chatId)
          : await loaders.of(sharedFromOf).load({ chatId, eventId });
      // If everyone can see all of the pinned messages, the answer is the same for everyone, so it does not matter who
      // asks.
      if (sharedFrom !== null && pinned.every(({ seq }) => seq >= sharedFrom)) return pinned;
      const asker = findViewer(context);
      const visibleFrom = asker === null ? 1 : await loaders.of(visibleFromOf).load({ chatId, asker });
      return pinned.filter(({ seq }) => visibleFrom !== null && seq >= visibleFrom);
    },
  }),
);

builder.mutationFields((t) => ({
  pinMessage: t.field({
    type: MessageRef,
    description: `For owners and admins, and in a single chat or a group for every member. A chat can have at most ${maxPins} pins.`,
    errors: { types: [InvalidInput, NotFound, Forbidden] },
    args: { messageId: t.arg.id({ required: true }) },
    resolve: (_, { messageId: id }, context) =>
      pinMessage(context, requireAsker(context), { messageId: decodeId('Message', id, ['messageId']) }),
  }),
  unpinMessage: t.field({
    type: MessageRef,
    description: 'For users who may pin messages in the chat. Has no effect if the message is not pinned.',
    errors: { types: [NotFound, Forbidden] },
    args: { messageId: t.arg.id({ required: true }) },
    resolve: (_, { messageId: id }, context) =>
      unpinMessage(context, requireAsker(context), { messageId: decodeId('Message', id, ['messageId']) }),
  }),
}));

defineEvent('PinsChanged', {
  description: 'A message was pinned or unpinned in its chat. Deleting a message unpins it without sending this event.',
  load: async ({ messageId, detail }, loaders) => {
    const message = messageId === null ? null : await loaders.of(messageById).load(messageId);
    // When a message is deleted, its pin is deleted, too.
    if (message === null || message.deletedAt !== null) return null;
    return { message, pinned: detail?.['pinned'] === true };
  },
  fields: (t) => ({
    message: t.field({ type: MessageRef, resolve: ({ message }) => message }),
    pinned: t.exposeBoolean('pinned'),
  }),
});
