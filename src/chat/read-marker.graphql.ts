import { MemberConnectionRef, MemberRef } from './member.ref.ts';
import { ChatRef } from './chat.ref.ts';
import { ViewerRef } from '../account/viewer.ref.ts';
import { memberByKey } from './member.ts';
import { defineEvent } from '../api/event.ts';
import { readersOf } from '../message/history.ts';
import { lists, readPage } from '../postgres/page.ts';
import { markRead, showsReceipts } from './read-marker.ts';
import { countUnreadChats } from './unread.ts';
import { InvalidInput, NotFound } from '../errors.ts';
import { builder } from '../api/builder.ts';
import { pageComplexity, toConnection } from '../api/connection.ts';
import { requireAsker } from '../api/context.ts';
import { decodeId } from '../core/id.ts';

builder.mutationField('markRead', (t) =>
  t.field({
    type: MemberRef,
    description:
      'Moves the read marker forward. Moving the marker back is refused unless `rewind` is true (mark as unread).',
    errors: { types: [InvalidInput, NotFound] },
    args: {
      chatId: t.arg.id({ required: true }),
      seq: t.arg.int({ required: true, description: 'The seq of the newest message that was read, or 0 for none.' }),
      rewind: t.arg.boolean({ defaultValue: false }),
    },
    resolve: (_, { chatId, seq, rewind }, context) =>
      markRead(context.writes, requireAsker(context), {
        chatId: decodeId('Chat', chatId, ['chatId']),
        seq,
        rewind: rewind ?? false,
      }),
  }),
);

builder.prismaObjectField(ChatRef, 'readBy', (t) =>
  t.field({
    type: MemberConnectionRef,
    nullable: true,
    description: `The members who have read the message with this \`seq\`, including its sender, but without members who have blocked the viewer. Null in channels, because they have no read receipts.`,
    args: { seq: t.arg.int({ required: true }), ...t.arg.connectionArgs() },
    complexity: pageComplexity,
    resolve: async (chat, { seq, ...args }, context) => {
      if (!showsReceipts(chat.type)) return null;
      const reader = { chatId: chat.id, asker: requireAsker(context), seq };
      const page = await context.loaders.ofPage(readersOf, readPage(args, lists.members)).load(reader);
      return toConnection(lists.members, page, (member) => [member.userId]);
    },
  }),
);

builder.objectField(ViewerRef, 'unreadChatCount', (t) =>
  t.int({
    description:
      'The number of chats with unread messages, for example for a badge. `Member.notificationLevel` determines which messages count.',
    resolve: ({ asker }, _, { db }) => countUnreadChats(db, asker),
  }),
);

defineEvent('ReadMarkerMoved', {
  description: `Sent to the member's own devices. When you send a message, your own read marker moves without this event, so move it yourself when you receive NewMessage.`,
  load: async ({ chatId, userId }, loaders) => {
    const member = chatId === null || userId === null ? null : await loaders.of(memberByKey).load({ chatId, userId });
    return member && { member };
  },
  fields: (t) => ({ member: t.field({ type: MemberRef, resolve: ({ member }) => member }) }),
});
