import { MessageRef } from './message.ref.ts';
import { ChatRef } from '../chat/chat.ref.ts';
import { UserRef } from '../people/user.ref.ts';
import { maxFiles } from '../file/file.ts';
import { findVisibleMessages, sendMessage } from './message.ts';
import { maxContentLength, maxNameLength } from '../core/text.ts';
import { Conflict, Forbidden, InvalidInput, NotFound } from '../errors.ts';
import { builder } from '../api/builder.ts';
import { textSize } from '../api/field-size.ts';
import { requireAsker } from '../api/context.ts';
import { decodeId } from '../core/id.ts';
import { chatById } from '../chat/chat.ts';
import { hiddenBelowOf, visibleFromOf } from '../chat/visibility.ts';
import { userById } from '../people/user.ts';
import { present } from '../postgres/loader.ts';
import { messageByKey } from './message-loader.ts';
import { registerNode } from '../api/node.ts';

const MessageKindRef = builder.enumType('MessageKind', {
  values: { USER: {}, SYSTEM: { description: 'Written by the server, e.g. that somebody joined.' } },
});

builder.prismaObjectFields(MessageRef, (t) => ({
  kind: t.expose('kind', { type: MessageKindRef }),
  seq: t.exposeInt('seq', { description: '1, 2, 3, … within its chat, without a gap.' }),
  content: t.exposeString('content', {
    nullable: true,
    extensions: textSize(maxContentLength),
    description: `Null once deleted. 1 to ${maxContentLength} characters, or none when it was sent with files.`,
  }),
  clientMessageId: t.exposeString('clientMessageId', {
    nullable: true,
    extensions: textSize(maxNameLength),
    description: 'What the sender called it; sending it again under this name returns the same message.',
  }),
  createdAt: t.expose('createdAt', { type: 'DateTime' }),
  editedAt: t.expose('editedAt', { type: 'DateTime', nullable: true }),
  deletedAt: t.expose('deletedAt', { type: 'DateTime', nullable: true }),
  chat: t.field({
    type: ChatRef,
    resolve: ({ chatId }, _, { loaders }) => present(loaders.of(chatById).load(chatId)),
  }),
  sender: t.field({
    type: UserRef,
    nullable: true,
    description: "Null once the sender's account is erased.",
    resolve: ({ senderId }, _, { loaders }) => (senderId === null ? null : loaders.of(userById).load(senderId)),
  }),
}));

builder.prismaObjectField(MessageRef, 'replyTo', (t) =>
  t.field({
    type: MessageRef,
    nullable: true,
    description: 'Null too when it is from before the history that the viewer sees.',
    resolve: async ({ chatId, replyToSeq }, _, context) => {
      if (replyToSeq === null) return null;
      const { loaders } = context;
      // Where no member's history begins later than this, everybody sees it, and nobody need be asked who they are.
      if (replyToSeq < (await loaders.of(hiddenBelowOf).load(chatId))) {
        const visibleFrom = await loaders.of(visibleFromOf).load({ chatId, asker: requireAsker(context) });
        if (visibleFrom === null || replyToSeq < visibleFrom) return null;
      }
      return loaders.of(messageByKey).load({ chatId, seq: replyToSeq });
    },
  }),
);

registerNode('Message', async (context, keys) => {
  const messages = await findVisibleMessages(context.db, requireAsker(context), keys.map(BigInt));
  return new Map(messages.map((message) => [String(message.id), message]));
});

const SendMessageInput = builder.inputType('SendMessageInput', {
  fields: (t) => ({
    chatId: t.id({ required: true }),
    content: t.string({
      required: true,
      description: `1 to ${maxContentLength} characters after trimming, or none when there are files; newline and tab are the only control characters.`,
    }),
    fileIds: t.idList({
      description: `Up to ${maxFiles} uploads of one's own that no message has yet, in the order in which they are shown.`,
    }),
    replyToId: t.id({ description: 'A message of the same chat.' }),
    clientMessageId: t.string({
      description: `Your own name for it, one line of 1 to ${maxNameLength} characters: sending it again returns the message that it made first.`,
    }),
  }),
});

builder.mutationField('sendMessage', (t) =>
  t.field({
    type: MessageRef,
    description:
      'For members. Once it has answered, the message is kept. Conflict when the clientMessageId names another message already.',
    errors: { types: [InvalidInput, NotFound, Forbidden, Conflict] },
    args: { input: t.arg({ type: SendMessageInput, required: true }) },
    resolve: (_, { input }, context) =>
      sendMessage(context.writes, requireAsker(context), {
        chatId: decodeId('Chat', input.chatId, ['chatId']),
        content: input.content,
        fileIds: (input.fileIds ?? []).map((id, index) => decodeId('File', id, ['fileIds', String(index)])),
        replyToId: input.replyToId == null ? null : decodeId('Message', input.replyToId, ['replyToId']),
        clientMessageId: input.clientMessageId ?? null,
      }),
  }),
);
