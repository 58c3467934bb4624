import type { Asker } from '../core/asker.ts';
import type { ChatType, MemberRole } from '../postgres/generated/prisma/client.ts';

/** What an asker may want to do in a chat that they see. What one does to one's own message or marker is not asked here. */
export type Action =
  | 'addMembers'
  | 'removeMember'
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
 * How a person stands to a chat: the first seq that they see (null: none), their role (null for one who is not a member,
 * such as a reader of a public channel), and whether the other person of a single chat has blocked them.
 */
export type ChatAccess = { type: ChatType; visibleFrom: number | null; role: MemberRole | null; isBlocked: boolean };

/** The same, and the role of the member whom `removeMember` and `setMemberRole` are about. */
export type Case = ChatAccess & { targetRole?: MemberRole | null };

/**
 * Whether the asker may do that: the one place where rights come from. Whether the chat may be seen at all is checked
 * before; that the last owner cannot go is checked after. A session may do all that its person may; later kinds of
 * asker will be limited further here, and in no rule.
 */
export function may(asker: Asker, action: Action, access: Case): boolean {
  switch (asker.kind) {
    case 'SESSION':
      return mayPerson(action, access);
    default:
      return asker.kind satisfies never;
  }
}

/** The whole table of who may do what, by action, chat type and role. */
function mayPerson(action: Action, { type, role, visibleFrom, isBlocked, targetRole = null }: Case): boolean {
  if (action === 'joinChat') return type === 'PUBLIC_CHANNEL';
  if (role === null) return false;
  // A chat of two has no roles: both may say something and pin it, and neither takes it from the other.
  if (type === 'SINGLE') return !isBlocked && (action === 'sendMessage' || action === 'pinMessage');
  if (role === 'OWNER') return true;
  const isAdmin = role === 'ADMIN';
  switch (action) {
    case 'sendMessage':
    case 'leaveChat':
      return true;
    case 'addMembers':
    case 'pinMessage':
      return isAdmin || type === 'GROUP';
    case 'updateChat':
    case 'deleteAnyMessage':
    case 'mentionEveryone':
      return isAdmin;
    case 'publishHistory':
      // It opens the whole past to everyone: not for an admin from whom a part of it is hidden.
      return isAdmin && visibleFrom === 1;
    case 'removeMember':
      return isAdmin && targetRole === 'MEMBER';
    case 'setMemberRole':
    case 'deleteChat':
      return false;
    default:
      return action satisfies never;
  }
}
