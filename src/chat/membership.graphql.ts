import { ChatGoneRef, ChatRef } from './chat.ref.ts';
import { MemberRef, MemberRoleRef } from './member.ref.ts';
import { maxMembersPerCall } from './chat.ts';
import { addMembers, joinChat, leaveChat, removeMember, setMemberRole } from './membership.ts';
import { Forbidden, InvalidInput, LastOwner, NotFound } from '../errors.ts';
import { builder } from '../api/builder.ts';
import { requireAsker } from '../api/context.ts';
import { decodeId } from '../core/id.ts';

const SharedHistoryRef = builder.enumType('SharedHistory', {
  description: 'How much of the earlier history a new member sees.',
  values: { ALL: {}, FROM_NOW: {} } as const,
});

builder.mutationFields((t) => ({
  addMembers: t.field({
    type: ChatRef,
    description: `Up to ${maxMembersPerCall.toLocaleString('en')} people at a time; existing members are left as they are. For owners and admins, and in a group for
every member.`,
    errors: { types: [InvalidInput, NotFound, Forbidden] },
    args: {
      chatId: t.arg.id({ required: true }),
      userIds: t.arg.idList({ required: true }),
      history: t.arg({
        type: SharedHistoryRef,
        description: `Defaults to ALL for a private channel and to FROM_NOW for a group. ALL means all that the viewer can see: no one can
share more of the history than they have. Everyone can read all of a public channel, whatever this says.`,
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
    description: 'Owners can remove anyone; admins can remove plain members.',
    errors: { types: [NotFound, Forbidden, LastOwner] },
    args: { chatId: t.arg.id({ required: true }), userId: t.arg.id({ required: true }) },
    resolve: (_, { chatId, userId }, context) =>
      removeMember(context.db, requireAsker(context), decodeMemberKey(chatId, userId)),
  }),
  setMemberRole: t.field({
    type: MemberRef,
    description: 'For owners. A chat may have several owners.',
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
    description: 'Anyone who is not banned can join a public channel. Has no effect on an existing member.',
    errors: { types: [NotFound, Forbidden] },
    args: { chatId: t.arg.id({ required: true }) },
    resolve: (_, { chatId }, context) =>
      joinChat(context.db, requireAsker(context), { chatId: decodeId('Chat', chatId, ['chatId']) }),
  }),
  leaveChat: t.field({
    type: ChatGoneRef,
    description:
      'When the last member leaves, the chat is deleted. A single chat can be left once the other person is erased.',
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
