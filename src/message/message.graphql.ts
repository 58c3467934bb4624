import { MessageRef } from './message.ref.ts';
import { ChatRef } from '../chat/chat.ref.ts';
import { UserRef } from '../people/user.ref.ts';
import { maxFiles } from '../file/file.ts';
import { sendMessage, visibleMessageById } from './message.ts';
import { maxCustomBytes, maxCustomDepth } from '../core/custom.ts';
import { maxContentLength, maxNameLength } from '../core/text.ts';
import { Conflict, Forbidden, InvalidInput, NotFound } from '../errors.ts';
import { builder } from '../api/builder.ts';
import { asciiSize, textSize } from '../api/field-size.ts';
import { findViewer, requireAsker } from '../api/context.ts';
import { decodeId } from '../core/id.ts';
import { chatById } from '../chat/chat.ts';
import { hiddenBelowOf, visibleFromOf } from '../chat/visibility.ts';
import { userById } from '../people/user.ts';
import { present } from '../postgres/loader.ts';
import { messageByKey } from './message-loader.ts';
import { foundNodes, registerNode } from '../api/node.ts';

const MessageKindRef = builder.enumType('MessageKind', {
  values: { USER: {}, SYSTEM: { description: 'Reserved: the server does not write such messages yet.' } },
});

builder.prismaObjectFields(MessageRef, (t) => ({
  kind: t.expose('kind', { type: MessageKindRef }),
  seq: t.exposeInt('seq', { description: 'The position of the message in its chat: 1, 2, 3, … without gaps.' }),
  content: t.exposeString('content', {
    nullable: true,
    extensions: textSize(maxContentLength),
    description: `Null after the message has been deleted. 1 to ${maxContentLength} characters; can be empty if the message has files.`,
  }),
  clientMessageId: t.exposeString('clientMessageId', {
    nullable: true,
    extensions: textSize(maxNameLength),
    description:
      'The id that the sender chose for the message; sending the message again with the same id returns the same message.',
  }),
  createdAt: t.expose('createdAt', { type: 'DateTime' }),
  editedAt: t.expose('editedAt', { type: 'DateTime', nullable: true }),
  deletedAt: t.expose('deletedAt', { type: 'DateTime', nullable: true }),
  custom: t.expose('custom', {
    type: 'JSON',
    extensions: asciiSize(maxCustomBytes),
    description:
      'An object that comes from the sender, so do not trust it. Edits do not change it; deleting the message or erasing its sender empties it.',
  }),
  chat: t.field({
    type: ChatRef,
    resolve: ({ chatId }, _, { loaders }) => present(loaders.of(chatById).find(chatId)),
  }),
  sender: t.field({
    type: UserRef,
    nullable: true,
    description: 'Null after the account of the sender is erased.',
    resolve: ({ senderId }, _, { loaders }) => (senderId === null ? null : loaders.of(userById).find(senderId)),
  }),
}));

builder.prismaObjectField(MessageRef, 'replyTo', (t) =>
  t.field({
    type: MessageRef,
    nullable: true,
    description:
      'Null if this message is not a reply, or if the original message is older than the part of the history that the viewer can see.',
    resolve: async ({ chatId, replyToSeq }, _, context) => {
      if (replyToSeq === null) return null;
      const { loaders } = context;
      // If no member's history starts after the original message, everyone can see that message, so it does not matter
      // who asks.
      if (replyToSeq < (await loaders.of(hiddenBelowOf).load(chatId))) {
        const asker = findViewer(context);
        const visibleFrom = asker === null ? 1 : await loaders.of(visibleFromOf).load({ chatId, asker });
        if (visibleFrom === null || replyToSeq < visibleFrom) return null;
      }
      return loaders.of(messageByKey).load({ chatId, seq: replyToSeq });
    },
  }),
);

registerNode('Message', async (context, keys) => {
  const asker = requireAsker(context);
  const messages = await context.loaders
    .of(visibleMessageById)
    .loadMany(keys.map((key) => ({ messageId: BigInt(key), asker })));
  return foundNodes(keys, messages);
});

const SendMessageInput = builder.inputType('SendMessageInput', {
  fields: (t) => ({
    chatId: t.id({ required: true }),
    content: t.string({
      required: true,
      description: `1 to ${maxContentLength} characters after trimming; may be empty if there are files. The only control characters allowed are newline and tab.`,
    }),
    fileIds: t.idList({
      description: `Up to ${maxFiles} files that the viewer uploaded and that are not in use yet, in display order.`,
    }),
    replyToId: t.id({ description: 'A message in the same chat.' }),
    clientMessageId: t.string({
      description: `An id that you choose for the message, one line of 1 to ${maxNameLength} characters. If you send the same message again with the same id, you get the first message back.`,
    }),
    custom: t.field({
      type: 'JSON',
      description: `An object for use by clients, at most ${maxCustomBytes} bytes and ${maxCustomDepth} levels deep. Everyone who can see the message can see it.`,
    }),
  }),
});

builder.mutationField('sendMessage', (t) =>
  t.field({
    type: MessageRef,
    description:
      'For members. The message is stored before the mutation returns. Conflict if the clientMessageId already belongs to a different message.',
    errors: { types: [InvalidInput, NotFound, Forbidden, Conflict] },
    args: { input: t.arg({ type: SendMessageInput, required: true }) },
    resolve: (_, { input }, context) =>
      sendMessage(context.writes, requireAsker(context), {
        chatId: decodeId('Chat', input.chatId, ['chatId']),
        content: input.content,
        fileIds: (input.fileIds ?? []).map((id, index) => decodeId('File', id, ['fileIds', String(index)])),
        replyToId: input.replyToId == null ? null : decodeId('Message', input.replyToId, ['replyToId']),
        clientMessageId: input.clientMessageId ?? null,
        custom: input.custom ?? {},
      }),
  }),
);
