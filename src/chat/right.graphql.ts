import { builder } from '../api/builder.ts';
import { findViewer } from '../api/context.ts';
import { chatAccessOf } from './chat-access.ts';
import { ChatRef } from './chat.ref.ts';
import { may, type Action } from './permission.ts';

/**
 * The actions that `viewerCan` can list, with the names that the permission rules use for them. An action on a member
 * is listed if the viewer may perform it on a plain member.
 */
const chatActions = {
  SEND_MESSAGE: 'sendMessage',
  PIN_MESSAGE: 'pinMessage',
  ADD_MEMBERS: 'addMembers',
  CREATE_INVITE: 'createInvite',
  REMOVE_MEMBER: 'removeMember',
  BAN_MEMBER: 'banMember',
  MUTE_MEMBER: 'muteMember',
  SET_MEMBER_ROLE: 'setMemberRole',
  JOIN_CHAT: 'joinChat',
  LEAVE_CHAT: 'leaveChat',
  UPDATE_CHAT: 'updateChat',
  DELETE_CHAT: 'deleteChat',
  DELETE_ANY_MESSAGE: 'deleteAnyMessage',
  MENTION_EVERYONE: 'mentionEveryone',
} as const satisfies Record<string, Action>;

type ChatAction = keyof typeof chatActions;

/** The names, in the order of the table. */
const names = Object.keys(chatActions) as [ChatAction, ...ChatAction[]];

const ChatActionRef = builder.enumType('ChatAction', {
  description:
    'Future versions will add more. REMOVE_MEMBER, BAN_MEMBER, MUTE_MEMBER and SET_MEMBER_ROLE apply to members who are neither owners nor admins. Only owners can also take these actions on owners and admins.',
  values: names,
});

builder.prismaObjectField(ChatRef, 'viewerCan', (t) =>
  t.field({
    type: [ChatActionRef],
    description:
      'What the viewer may currently do in this chat, according to the rules that the mutations apply. Fetch this field again after a MemberUpdated that concerns the viewer, after ChatUpdated, and when a mute ends.',
    complexity: { field: 1, multiplier: names.length },
    resolve: async ({ id: chatId }, _, context): Promise<ChatAction[]> => {
      const asker = findViewer(context);
      if (asker === null) return [];
      const access = await context.loaders.of(chatAccessOf).load({ chatId, asker });
      if (access === null || access.visibleFrom === null) return [];
      return names.filter((name) => may(asker, chatActions[name], { ...access, targetRole: 'MEMBER' }));
    },
  }),
);
