import { MemberRef } from './member.ref.ts';
import { memberByKey } from './member.ts';
import { defineEvent } from '../api/event.ts';
import { setNotificationLevel } from './notification-level.ts';
import { InvalidInput, NotFound } from '../errors.ts';
import { builder } from '../api/builder.ts';
import { requireAsker } from '../api/context.ts';
import { decodeId } from '../core/id.ts';

const NotificationLevelRef = builder.enumType('NotificationLevel', {
  values: {
    ALL: { description: 'All messages count. This is the default for new members.' },
    MENTIONS: { description: 'Only messages that mention the member or everyone count.' },
    NONE: { description: 'No messages count.' },
  },
});

builder.prismaObjectField(MemberRef, 'notificationLevel', (t) =>
  t.field({
    type: NotificationLevelRef,
    nullable: true,
    description:
      'Determines which unread messages make this chat count in `Viewer.unreadChatCount`. Null in the memberships of other people.',
    resolve: ({ userId, notificationLevel }, _, context) =>
      context.asker()?.userId === userId ? notificationLevel : null,
  }),
);

builder.mutationField('setNotificationLevel', (t) =>
  t.field({
    type: MemberRef,
    errors: { types: [InvalidInput, NotFound] },
    args: { chatId: t.arg.id({ required: true }), level: t.arg({ type: NotificationLevelRef, required: true }) },
    resolve: (_, { chatId, level }, context) =>
      setNotificationLevel(context.db, requireAsker(context), {
        chatId: decodeId('Chat', chatId, ['chatId']),
        level,
      }),
  }),
);

defineEvent('NotificationLevelChanged', {
  description: "Sent to the member's own devices.",
  load: async ({ chatId, userId }, loaders) => {
    const member = chatId === null || userId === null ? null : await loaders.of(memberByKey).load({ chatId, userId });
    return member && { member };
  },
  fields: (t) => ({ member: t.field({ type: MemberRef, resolve: ({ member }) => member }) }),
});
