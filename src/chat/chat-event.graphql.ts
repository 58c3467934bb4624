import { UserRef } from '../people/user.ref.ts';
import { ChatRef } from './chat.ref.ts';
import { MemberRef } from './member.ref.ts';
import { defineEvent } from '../api/event.ts';
import { encodeId } from '../core/id.ts';
import { idsIn, numberIn } from '../log/event.ts';
import { userById } from '../people/user.ts';
import type { Member, User } from '../postgres/generated/prisma/client.ts';
import { chatById } from './chat.ts';
import { memberByKey } from './member.ts';

defineEvent('NewChat', {
  description: 'Sent to the first members of a new chat.',
  load: async ({ chatId }, loaders) => {
    const chat = chatId === null ? null : await loaders.of(chatById).load(chatId);
    return chat && { chat };
  },
  fields: (t) => ({ chat: t.field({ type: ChatRef, resolve: ({ chat }) => chat }) }),
});

defineEvent('AddToChat', {
  description:
    'Sent to every member, including the new ones. One event covers all users who are added together. A new member should fetch the chat.',
  load: async (event, loaders) => {
    const chat = event.chatId === null ? null : await loaders.of(chatById).load(event.chatId);
    const memberIds = idsIn(event, 'user_ids');
    return chat && { chat, memberIds, eventId: event.id, addedCount: numberIn(event, 'added_count') };
  },
  fields: (t) => ({
    chat: t.field({ type: ChatRef, resolve: ({ chat }) => chat }),
    members: t.field({
      type: [MemberRef],
      description: 'The first 100 of the members who were added.',
      complexity: { field: 1, multiplier: 100 },
      resolve: async ({ chat, memberIds, eventId }, _, { loaders }) => {
        const members = await loaders
          .of(memberByKey)
          .loadMany(memberIds.map((userId) => ({ chatId: chat.id, userId })));
        return members.filter((member): member is Member => isRow(member) && member.sinceEvent === eventId);
      },
    }),
    addedCount: t.exposeInt('addedCount'),
  }),
});

defineEvent('RemoveFromChat', {
  description:
    'Sent to the remaining members and to the member who was removed. For the removed member, it is the last event from that chat.',
  load: async ({ chatId, userId }) => (chatId === null || userId === null ? null : { chatId, userId }),
  fields: (t) => ({
    chatId: t.id({ resolve: ({ chatId }) => encodeId('Chat', chatId) }),
    userId: t.id({ resolve: ({ userId }) => encodeId('User', userId) }),
    user: t.field({
      type: UserRef,
      nullable: true,
      resolve: ({ userId }, _, { loaders }): Promise<User | null> => loaders.of(userById).load(userId),
    }),
  }),
});

defineEvent('ChatUpdated', {
  load: async ({ chatId }, loaders) => {
    const chat = chatId === null ? null : await loaders.of(chatById).load(chatId);
    return chat && { chat };
  },
  fields: (t) => ({ chat: t.field({ type: ChatRef, resolve: ({ chat }) => chat }) }),
});

defineEvent('ChatDeleted', {
  load: async ({ chatId }) => (chatId === null ? null : { chatId }),
  fields: (t) => ({ chatId: t.id({ resolve: ({ chatId }) => encodeId('Chat', chatId) }) }),
});

defineEvent('MemberUpdated', {
  description: 'The role or another public property of a member changed.',
  load: async (event, loaders) => {
    const { chatId } = event;
    const [userId] = idsIn(event, 'user_ids');
    const isNamed = chatId !== null && userId !== undefined;
    const member = isNamed ? await loaders.of(memberByKey).load({ chatId, userId }) : null;
    return member && { member };
  },
  fields: (t) => ({ member: t.field({ type: MemberRef, resolve: ({ member }) => member }) }),
});

function isRow(row: Member | Error | null): row is Member {
  return row !== null && !(row instanceof Error);
}
