import { MemberRef, MemberRoleRef } from './member.ref.ts';
import { ChatRef } from './chat.ref.ts';
import { UserRef } from '../people/user.ref.ts';
import { readMemberKey } from './member.ref.ts';
import { builder } from '../api/builder.ts';
import { findViewer, requireAsker } from '../api/context.ts';
import { present } from '../postgres/loader.ts';
import { chatById } from './chat.ts';
import { memberByKey } from './member.ts';
import { unreadCountOf } from './unread.ts';
import { memberUserById } from '../people/user.ts';
import { isFound, registerNode, type NodeLoader } from '../api/node.ts';
import { visibleChatOf } from './chat.ts';
import { showsReceipts } from './read-marker.ts';
import { blockedMembersOf } from '../people/block.ts';
import { erasedUser } from '../people/user.ts';

builder.prismaObjectFields(MemberRef, (t) => ({
  role: t.expose('role', { type: MemberRoleRef }),
  joinedAt: t.expose('joinedAt', { type: 'DateTime' }),
  chat: t.field({ type: ChatRef, resolve: ({ chatId }, _, { loaders }) => present(loaders.of(chatById).find(chatId)) }),
  user: t.field({
    type: UserRef,
    description: 'While the account is being erased, the user has a placeholder name.',
    resolve: ({ userId }, _, { loaders }) => {
      const found = loaders.of(memberUserById).find(userId);
      if (!(found instanceof Promise)) return found ?? erasedUser(userId);
      return found.then((user) => user ?? erasedUser(userId));
    },
  }),
  lastReadSeq: t.int({
    nullable: true,
    description:
      'The seq of the newest message that this member has read. In single chats and groups, other members can see it unless this member has blocked them; otherwise it is null for them.',
    resolve: async ({ chatId, userId, lastReadSeq }, _, context) => {
      // Members can always see their own read marker. In an event, the result is the same for every asker if possible,
      // so that all askers can share one rendering.
      if (context.eventId === null && context.asker()?.userId === userId) return lastReadSeq;
      const chat = await context.loaders.of(chatById).load(chatId);
      if (!showsReceipts(chat?.type)) return context.asker()?.userId === userId ? lastReadSeq : null;
      const blocked = await context.loaders.of(blockedMembersOf).load({ chatId, userId });
      // If this member has blocked no one in this chat, the result is the same for every asker, so it does not matter
      // who asks.
      const viewer = blocked.size === 0 ? null : findViewer(context);
      return viewer !== null && blocked.has(viewer.userId) ? null : lastReadSeq;
    },
  }),
  unreadCount: t.int({
    nullable: true,
    description: 'Null for memberships of other people. The count stops at 1,000.',
    resolve: ({ chatId, userId }, _, context) =>
      context.asker()?.userId === userId ? context.loaders.of(unreadCountOf).load({ chatId, userId }) : null,
  }),
}));

const loadMembers: NodeLoader = async (context, keys) => {
  const memberKeys = keys.map(readMemberKey);
  const chatIds = [...new Set(memberKeys.map(({ chatId }) => chatId))];
  const asker = requireAsker(context);
  const chats = await context.loaders.of(visibleChatOf).loadMany(chatIds.map((chatId) => ({ chatId, asker })));
  const visible = new Set(chatIds.filter((_, index) => isFound(chats[index])));
  const members = await Promise.all(
    memberKeys.filter(({ chatId }) => visible.has(chatId)).map((key) => context.loaders.of(memberByKey).load(key)),
  );
  return new Map(members.flatMap((member) => (member === null ? [] : [[`${member.chatId}_${member.userId}`, member]])));
};

registerNode('Member', loadMembers, 2);
