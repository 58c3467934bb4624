import { opens, type Asker } from '../core/asker.ts';
import type { Scope } from '../core/scope.ts';
import type { ChatType, MemberRole } from '../postgres/generated/prisma/client.ts';

/**
 * What an asker may want to do in a chat that they can see. To delete their own messages or move their read marker,
 * they need no permission.
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
 * A user's access to a chat: the first seq that they see (null if they cannot see the chat), their role (null if they
 * are not a member, such as a reader of a public channel), whether the other person in a single chat has blocked them,
 * until when they are muted (null if they are not), and whether the other person in a single chat has been erased.
 */
export type ChatAccess = {
  type: ChatType;
  visibleFrom: number | null;
  role: MemberRole | null;
  isBlocked: boolean;
  mutedUntil: Date | null;
  isPeerErased?: boolean;
};

/** The access, plus the role of the member that the action targets. A user who is not a member counts as a MEMBER. */
export type Case = ChatAccess & { targetRole?: MemberRole | null };

/** The scope that a program needs for each action, besides its user's rights. */
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
 * Whether the asker may perform the action; all permissions are decided here. Callers first check that the asker can
 * see the chat; the database checks afterwards that an owner remains. A session may do everything that its user may do,
 * and a program only what its key's scopes also allow. An incoming webhook may only send messages, whatever the role of
 * its bot.
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

/** The complete table of permissions by action, chat type and role. */
function mayPerson(action: Action, access: Case): boolean {
  const { type, role, visibleFrom, isBlocked, mutedUntil, isPeerErased = false, targetRole = null } = access;
  if (action === 'joinChat') return type === 'PUBLIC_CHANNEL' && role === null;
  if (role === null) return false;
  // This applies to every role: a muted admin cannot moderate either.
  if (mutedUntil !== null) return action === 'leaveChat' && type !== 'SINGLE';
  // A single chat has no roles: both people may write and pin, and neither can delete the other's messages.
  // Neither can leave, unless the other's account is erased.
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
      // A public channel shows the whole history to everyone, so an admin must be able to see all of it.
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
