import { ChatGoneRef, ChatRef } from './chat.ref.ts';
import { MemberRef, MemberRoleRef } from './member.ref.ts';
import { maxMembersPerCall } from './chat.ts';
import { addMembers, joinChat, leaveChat, removeMember, setMemberRole } from './membership.ts';
import { Forbidden, InvalidInput, LastOwner, NotFound } from '../errors.ts';
import { builder } from '../api/builder.ts';
import { requireAsker } from '../api/context.ts';
import { decodeId } from '../core/id.ts';

const SharedHistoryRef = builder.enumType('SharedHistory', {
  description: 'How much of the earlier history new members can see.',
  values: { ALL: {}, FROM_NOW: {} } as const,
});

builder.mutationFields((t) => ({
  addMembers: t.field({
    type: ChatRef,
    description: `Adds up to ${maxMembersPerCall.toLocaleString('en')} users at a time; existing members are not changed. For owners and admins, and in a group for
every member.`,
    errors: { types: [InvalidInput, NotFound, Forbidden] },
    args: {
      chatId: t.arg.id({ required: true }),
      userIds: t.arg.idList({ required: true }),
      history: t.arg({
        type: SharedHistoryRef,
        description: `The default is ALL for a private channel and FROM_NOW for a group. ALL means everything that the viewer can see, because no one can share more of the history than they can see themselves. Everyone can read the whole history of a public channel, regardless of this argument.`,
      }),
    },
    resolve: (_, { chatId, userIds, history }, context) =>
      addMembers(context.db, requireAsker(context), {
        chatId: decodeId('Chat', chatId, ['chatId']),
        userIds: userIds.map((id, index) => decodeId('User', id, ['userIds', String(index)])),
        history: history ?? null,
      }),
  }),
  removeMember: t.field({
    type: ChatRef,
    description: 'Owners can remove anyone; admins can remove members who are neither owners nor admins.',
    errors: { types: [NotFound, Forbidden, LastOwner] },
    args: { chatId: t.arg.id({ required: true }), userId: t.arg.id({ required: true }) },
    resolve: (_, { chatId, userId }, context) =>
      removeMember(context.db, requireAsker(context), decodeMemberKey(chatId, userId)),
  }),
  setMemberRole: t.field({
    type: MemberRef,
    description: 'For owners. A chat can have several owners.',
    errors: { types: [NotFound, Forbidden, LastOwner] },
    args: {
      chatId: t.arg.id({ required: true }),
      userId: t.arg.id({ required: true }),
      role: t.arg({ type: MemberRoleRef, required: true }),
    },
    resolve: (_, { chatId, userId, role }, context) =>
      setMemberRole(context.db, requireAsker(context), { ...decodeMemberKey(chatId, userId), role }),
  }),
  joinChat: t.field({
    type: ChatRef,
    description: 'Anyone who is not banned can join a public channel. Has no effect if the viewer is already a member.',
    errors: { types: [NotFound, Forbidden] },
    args: { chatId: t.arg.id({ required: true }) },
    resolve: (_, { chatId }, context) =>
      joinChat(context.db, requireAsker(context), { chatId: decodeId('Chat', chatId, ['chatId']) }),
  }),
  leaveChat: t.field({
    type: ChatGoneRef,
    description:
      'When the last member leaves, the chat is deleted. A single chat can be left only after the account of the other person is erased.',
    errors: { types: [NotFound, Forbidden, LastOwner] },
    args: { chatId: t.arg.id({ required: true }) },
    resolve: async (_, { chatId: id }, context) => {
      const chatId = decodeId('Chat', id, ['chatId']);
      await leaveChat(context.db, requireAsker(context), { chatId });
      return { chatId };
    },
  }),
}));

function decodeMemberKey(chatId: string, userId: string): { chatId: bigint; userId: bigint } {
  return { chatId: decodeId('Chat', chatId, ['chatId']), userId: decodeId('User', userId, ['userId']) };
}
