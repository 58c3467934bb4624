import { MessageRef } from './message.ref.ts';
import { deleteMessage } from './message-deletion.ts';
import { editMessage, maxEdits, revisionsOf, type Revision } from './message-edit.ts';
import { maxContentLength } from '../core/text.ts';
import { Forbidden, InvalidInput, NotFound } from '../errors.ts';
import { builder } from '../api/builder.ts';
import { textSize } from '../api/field-size.ts';
import { requireAsker } from '../api/context.ts';
import { decodeId } from '../core/id.ts';

const MessageRevisionRef = builder.objectRef<Revision>('MessageRevision').implement({
  description: 'The content of a message before an edit.',
  fields: (t) => ({
    version: t.exposeInt('version', { description: 'The number of this version of the message: 1, 2, 3, …' }),
    content: t.exposeString('content', { extensions: textSize(maxContentLength) }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When this version was written.' }),
  }),
});

builder.prismaObjectField(MessageRef, 'revisions', (t) =>
  t.field({
    type: [MessageRevisionRef],
    description: `The earlier versions of the text, oldest first, up to ${maxEdits}. Empty after deletion.`,
    complexity: { field: 1, multiplier: maxEdits },
    resolve: ({ chatId, seq }, _, { loaders }) => loaders.of(revisionsOf).load({ chatId, seq }),
  }),
);

builder.mutationFields((t) => ({
  editMessage: t.field({
    type: MessageRef,
    description: `For the message's sender. Earlier versions remain readable in \`revisions\`. A message can be edited at most ${maxEdits} times. NotFound after deletion.`,
    errors: { types: [InvalidInput, NotFound, Forbidden] },
    args: {
      messageId: t.arg.id({ required: true }),
      content: t.arg.string({
        required: true,
        description:
          `1 to ${maxContentLength} characters after trimming; ` +
          'the only control characters allowed are newline and tab.',
      }),
    },
    resolve: (_, { messageId: id, content }, context) =>
      editMessage(context, requireAsker(context), { messageId: decodeId('Message', id, ['messageId']), content }),
  }),
  deleteMessage: t.field({
    type: MessageRef,
    description:
      "For the message's sender, and for owners and admins of the chat. Leaves a tombstone: the content, files, revisions, reactions, mentions and pin of the message are permanently deleted.",
    errors: { types: [NotFound, Forbidden] },
    args: { messageId: t.arg.id({ required: true }) },
    resolve: (_, { messageId: id }, context) =>
      deleteMessage(context, requireAsker(context), { messageId: decodeId('Message', id, ['messageId']) }),
  }),
}));
