import { MessageRef } from './message.ref.ts';
import { messageById } from './message-loader.ts';
import { encodeId } from '../core/id.ts';
import { defineEvent } from '../api/event.ts';
import { addReaction, maxEmoji, ownReactionsOf, reactionsOf, removeReaction, type EmojiCount } from './reaction.ts';
import { Forbidden, InvalidInput, NotFound } from '../errors.ts';
import { builder } from '../api/builder.ts';
import { textSize } from '../api/field-size.ts';
import { findViewer, requireAsker } from '../api/context.ts';
import { decodeId } from '../core/id.ts';

/** The longest emoji that Unicode recommends (a kiss with two skin tones) have 10 code points. */
const emojiSize = textSize(16);

const ReactionRef = builder.objectRef<EmojiCount & { chatId: bigint; seq: number }>('Reaction').implement({
  fields: (t) => ({
    emoji: t.exposeString('emoji', { extensions: emojiSize }),
    count: t.exposeInt('count'),
    viewerReacted: t.boolean({
      resolve: async ({ chatId, seq, emoji }, _, context) => {
        const asker = findViewer(context);
        return asker !== null && (await context.loaders.of(ownReactionsOf).load({ chatId, seq, asker })).has(emoji);
      },
    }),
  }),
});

builder.prismaObjectField(MessageRef, 'reactions', (t) =>
  t.field({
    type: [ReactionRef],
    description: `In the order in which they were added; at most ${maxEmoji} different emoji.`,
    complexity: { field: 1, multiplier: maxEmoji },
    resolve: async ({ chatId, seq }, _, { loaders }) => {
      const reactions = await loaders.of(reactionsOf).load({ chatId, seq });
      return reactions.map((reaction) => ({ ...reaction, chatId, seq }));
    },
  }),
);

builder.mutationFields((t) => ({
  addReaction: t.field({
    type: MessageRef,
    description: `Adds a reaction by the viewer, at most once per emoji. A message can have at most ${maxEmoji} different emoji.`,
    errors: { types: [InvalidInput, NotFound, Forbidden] },
    args: {
      messageId: t.arg.id({ required: true }),
      emoji: t.arg.string({
        required: true,
        description: 'A single emoji, or a sequence, that Unicode recommends for interchange. Stored fully qualified.',
      }),
    },
    resolve: (_, { messageId: id, emoji }, context) =>
      addReaction(context, requireAsker(context), { messageId: decodeId('Message', id, ['messageId']), emoji }),
  }),
  removeReaction: t.field({
    type: MessageRef,
    description: 'Removes the reaction of the viewer with this emoji. Has no effect if there is no such reaction.',
    errors: { types: [NotFound] },
    args: { messageId: t.arg.id({ required: true }), emoji: t.arg.string({ required: true }) },
    resolve: (_, { messageId: id, emoji }, context) =>
      removeReaction(context, requireAsker(context), { messageId: decodeId('Message', id, ['messageId']), emoji }),
  }),
}));

defineEvent('ReactionsChanged', {
  description:
    'A reaction was added or removed. The event contains everything that a client needs to update the message for any viewer.',
  load: async ({ messageId, actorId, detail }, loaders) => {
    const message = messageId === null ? null : await loaders.of(messageById).load(messageId);
    // When a message is deleted, its reactions are deleted, too.
    if (message === null || message.deletedAt !== null) return null;
    const { emoji, added } = detail ?? {};
    if (typeof emoji !== 'string' || actorId === null) return null;
    return { message, emoji, userId: actorId, added: added === true };
  },
  fields: (t) => ({
    message: t.field({ type: MessageRef, resolve: ({ message }) => message }),
    emoji: t.exposeString('emoji', { extensions: emojiSize }),
    count: t.int({
      description: 'The number of users who have reacted with this emoji at the time of delivery.',
      resolve: async ({ message, emoji }, _, { loaders }) => {
        const reactions = await loaders.of(reactionsOf).load(message);
        return reactions.find((reaction) => reaction.emoji === emoji)?.count ?? 0;
      },
    }),
    userId: t.id({ resolve: ({ userId }) => encodeId('User', userId) }),
    added: t.exposeBoolean('added'),
  }),
});
