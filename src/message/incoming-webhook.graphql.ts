import { builder } from '../api/builder.ts';
import { requireAsker } from '../api/context.ts';
import { asciiSize } from '../api/field-size.ts';
import { registerNode } from '../api/node.ts';
import { ChatRef } from '../chat/chat.ref.ts';
import { chatById } from '../chat/chat.ts';
import { decodeId } from '../core/id.ts';
import { maxNameLength } from '../core/text.ts';
import { Forbidden, InvalidInput, NotFound } from '../errors.ts';
import { UserRef } from '../people/user.ref.ts';
import { erasedUser, userById } from '../people/user.ts';
import type { IncomingWebhook } from '../postgres/generated/prisma/client.ts';
import {
  createIncomingWebhook,
  findIncomingWebhooks,
  maxIncomingWebhooks,
  revokeIncomingWebhook,
  type CreatedIncomingWebhook,
} from './incoming-webhook.ts';

const IncomingWebhookRef = builder.objectRef<IncomingWebhook>('IncomingWebhook');

builder.node(IncomingWebhookRef, {
  description: 'A URL that programs can use to post to one chat. Visible to users who may change the chat.',
  id: { resolve: ({ id }) => String(id) },
  fields: (t) => ({
    chat: t.field({
      type: ChatRef,
      resolve: async ({ chatId }, _, { loaders }) => {
        const chat = await loaders.of(chatById).load(chatId);
        if (chat === null) throw new NotFound('The chat has been deleted.');
        return chat;
      },
    }),
    bot: t.field({
      type: UserRef,
      description:
        'The sender of the messages, which is a member of the chat. If the bot is removed from the chat, the webhook ends.',
      resolve: async ({ botId }, _, { loaders }) => (await loaders.of(userById).load(botId)) ?? erasedUser(botId),
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime' }),
  }),
});

registerNode('IncomingWebhook', async (context, keys) => {
  const webhooks = await findIncomingWebhooks(context.db, requireAsker(context), keys.map(BigInt));
  return new Map(webhooks.map((webhook) => [String(webhook.id), webhook]));
});

const path = '/api/hooks/';

const CreatedIncomingWebhookRef = builder.objectRef<CreatedIncomingWebhook>('CreatedIncomingWebhook').implement({
  fields: (t) => ({
    incomingWebhook: t.field({ type: IncomingWebhookRef, resolve: ({ incomingWebhook }) => incomingWebhook }),
    url: t.string({
      extensions: asciiSize(path.length + 64),
      description:
        'The URL for posting messages, relative to the address of the server. Shown only once; anyone who knows it can post to the chat.',
      resolve: ({ token }) => path + token,
    }),
  }),
});

builder.mutationFields((t) => ({
  createIncomingWebhook: t.field({
    type: CreatedIncomingWebhookRef,
    description: `For the owners and admins of a group or a channel. Adds a bot to the chat. Its name has 1 to ${maxNameLength} characters. A chat can have at most ${maxIncomingWebhooks} incoming webhooks.`,
    errors: { types: [InvalidInput, NotFound, Forbidden] },
    args: { chatId: t.arg.id({ required: true }), name: t.arg.string({ required: true }) },
    resolve: (_, { chatId, name }, context) =>
      createIncomingWebhook(context.db, requireAsker(context), { chatId: decodeId('Chat', chatId, ['chatId']), name }),
  }),
  revokeIncomingWebhook: t.field({
    type: IncomingWebhookRef,
    description:
      'For the owners and admins of the chat. The bot of the webhook leaves the chat, but its messages stay.',
    errors: { types: [NotFound, Forbidden] },
    args: { incomingWebhookId: t.arg.id({ required: true }) },
    resolve: (_, { incomingWebhookId }, context) =>
      revokeIncomingWebhook(
        context.db,
        requireAsker(context),
        decodeId('IncomingWebhook', incomingWebhookId, ['incomingWebhookId']),
      ),
  }),
}));
