import { ChatGoneRef, ChatRef, ChatTypeRef } from './chat.ref.ts';
import { deleteChat, updateChat } from './chat-change.ts';
import { maxSlowModeSeconds } from './slow-mode.ts';
import { maxDescriptionLength, maxNameLength } from '../core/text.ts';
import { Forbidden, InvalidInput, NotFound } from '../errors.ts';
import { builder } from '../api/builder.ts';
import { requireAsker } from '../api/context.ts';
import { decodeId } from '../core/id.ts';

const UpdateChatInput = builder.inputType('UpdateChatInput', {
  description: 'Omitted fields are not changed.',
  fields: (t) => ({
    chatId: t.id({ required: true }),
    name: t.string({
      description: `One line of 1 to ${maxNameLength} characters. Null removes the name of a group; a channel must have a name.`,
    }),
    description: t.string({
      description: `1 to ${maxDescriptionLength} characters; the only control characters allowed are newline and tab. Null removes it.`,
    }),
    type: t.field({
      type: ChatTypeRef,
      description: `GROUP, PRIVATE_CHANNEL and PUBLIC_CHANNEL can be changed into each other; SINGLE cannot be changed. When a channel becomes private, readers who are not members lose access to it, and each member again sees only their own part of the history. When a chat becomes public, everyone can read its whole history, so only an owner, or an admin who can see the whole history, can make a chat public.`,
    }),
    slowModeSeconds: t.int({
      description: `How long a member must wait between messages, up to ${maxSlowModeSeconds} seconds. 0 turns slow mode off. A single chat has no slow mode.`,
    }),
  }),
});

builder.mutationFields((t) => ({
  updateChat: t.field({
    type: ChatRef,
    description: 'For owners and admins.',
    errors: { types: [InvalidInput, NotFound, Forbidden] },
    args: { input: t.arg({ type: UpdateChatInput, required: true }) },
    resolve: (_, { input }, context) =>
      updateChat(context.db, requireAsker(context), {
        chatId: decodeId('Chat', input.chatId, ['chatId']),
        name: input.name,
        description: input.description,
        type: input.type ?? undefined,
        slowModeSeconds: input.slowModeSeconds,
      }),
  }),
  deleteChat: t.field({
    type: ChatGoneRef,
    description:
      'Deletes the chat and everything in it for everyone. For owners. A single chat has no owner and cannot be deleted.',
    errors: { types: [NotFound, Forbidden] },
    args: { chatId: t.arg.id({ required: true }) },
    resolve: async (_, { chatId: id }, context) => {
      const chatId = decodeId('Chat', id, ['chatId']);
      await deleteChat(context.db, requireAsker(context), { chatId });
      return { chatId };
    },
  }),
}));
