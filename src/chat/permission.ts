import { opens, type Asker } from '../core/asker.ts';
import type { Scope } from '../core/scope.ts';
import type { ChatType, MemberRole } from '../postgres/generated/prisma/client.ts';

/**
 * An action that an asker may want to perform in a chat that they can see. They need no permission to delete their own
 * messages or to move their read marker.
 */
export type Action =
  | 'addMembers'
  | 'createInvite'
  | 'removeMember'
  | 'banMember'
  | 'muteMember'
  | 'setMemberRole'
  | 'joinChat'
  | 'leaveChat'
  | 'updateChat'
  | 'publishHistory'
  | 'deleteChat'
  | 'sendMessage'
  | 'deleteAnyMessage'
  | 'pinMessage'
  | 'mentionEveryone';

/**
 * A user's access to a chat. It includes the first seq that the user sees (null if the user cannot see the chat), the
 * user's role (null for a user who is not a member, such as a reader of a public channel), and when the user's mute
 * ends (null if the user is not muted). For a single chat, it also includes whether the other person has blocked the
 * user, and whether the other person has been erased.
 */
export type ChatAccess = {
  type: ChatType;
  visibleFrom: number | null;
  role: MemberRole | null;
  isBlocked: boolean;
  mutedUntil: Date | null;
  isPeerErased?: boolean;
};

/** The access, and the role of the member that the action affects. A user who is not a member counts as a MEMBER. */
export type Case = ChatAccess & { targetRole?: MemberRole | null };

/** The scope that a program needs for each action, in addition to the rights of its user. */
const neededScopes: Record<Action, Scope> = {
  addMembers: 'CHATS_WRITE',
  createInvite: 'CHATS_WRITE',
  removeMember: 'CHATS_WRITE',
  banMember: 'CHATS_WRITE',
  muteMember: 'CHATS_WRITE',
  setMemberRole: 'CHATS_WRITE',
  joinChat: 'CHATS_WRITE',
  leaveChat: 'CHATS_WRITE',
  updateChat: 'CHATS_WRITE',
  publishHistory: 'CHATS_WRITE',
  deleteChat: 'CHATS_WRITE',
  sendMessage: 'MESSAGES_WRITE',
  deleteAnyMessage: 'MESSAGES_WRITE',
  pinMessage: 'MESSAGES_WRITE',
  mentionEveryone: 'MESSAGES_WRITE',
};

/**
 * Returns whether the asker may perform the action. All permissions are determined here. Callers must first check that
 * the asker can see the chat. The database later checks that an owner remains. A session may do everything that
 * its user may do. A program may do only what both its user and the scopes of its key allow. An incoming webhook may
 * only send messages, regardless of its bot's role.
 */
export function may(asker: Asker, action: Action, access: Case): boolean {
  switch (asker.kind) {
    case 'SESSION':
      return mayPerson(action, access);
    case 'KEY':
      if (asker.onlyWrites && action !== 'sendMessage') return false;
      return opens(asker, neededScopes[action]) && mayPerson(action, access);
    default:
      return asker satisfies never;
  }
}

/** The complete table of permissions, by action, chat type and role. */
function mayPerson(action: Action, access: Case): boolean {
  const { type, role, visibleFrom, isBlocked, mutedUntil, isPeerErased = false, targetRole = null } = access;
  if (action === 'joinChat') return type === 'PUBLIC_CHANNEL' && role === null;
  if (role === null) return false;
  // This applies to every role, so a muted admin cannot moderate either.
  if (mutedUntil !== null) return action === 'leaveChat' && type !== 'SINGLE';
  // A single chat has no roles. Both people may write and pin, and neither can delete the other's messages.
  // Neither can leave, unless the other person's account is erased.
  if (type === 'SINGLE') {
    if (action === 'leaveChat') return isPeerErased;
    return !isBlocked && (action === 'sendMessage' || action === 'pinMessage');
  }
  if (role === 'OWNER') return true;
  const isAdmin = role === 'ADMIN';
  switch (action) {
    case 'sendMessage':
    case 'leaveChat':
      return true;
    case 'addMembers':
    case 'createInvite':
    case 'pinMessage':
      return isAdmin || type === 'GROUP';
    case 'updateChat':
    case 'deleteAnyMessage':
    case 'mentionEveryone':
      return isAdmin;
    case 'publishHistory':
      // A public channel shows the whole history to everyone, so only an admin who can see all of it may publish it.
      return isAdmin && visibleFrom === 1;
    case 'removeMember':
    case 'banMember':
    case 'muteMember':
      return isAdmin && targetRole === 'MEMBER';
    case 'setMemberRole':
    case 'deleteChat':
      return false;
    default:
      return action satisfies never;
  }
}
