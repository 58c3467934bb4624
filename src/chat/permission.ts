import type { ChatType, MemberRole } from '../postgres/generated/prisma/client.ts';

/** What somebody may want to do in a chat that they see. What one does to one's own message or marker is not asked here. */
export type Action =
  | 'addMembers'
  | 'removeMember'
  | 'setMemberRole'
  | 'joinChat'
  | 'leaveChat'
  | 'updateChat'
  | 'deleteChat'
  | 'sendMessage'
  | 'deleteAnyMessage'
  | 'pinMessage'
  | 'mentionEveryone';

/**
 * Who asks, as what: `role` is null for somebody who is no member, as a reader of a public channel; `isBlocked` is for
 * whom the other one of a single chat has blocked.
 */
export type Actor = { type: ChatType; role: MemberRole | null; isBlocked?: boolean };

/**
 * The whole table of who may do what, by action, chat type and role. `targetRole` is that of the member whom
 * `removeMember` and `setMemberRole` are about. Whether the chat may be seen at all is asked before; that somebody is
 * its last owner is asked after.
 */
export function may(
  action: Action,
  { type, role, isBlocked = false }: Actor,
  targetRole: MemberRole | null = null,
): boolean {
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
    case 'removeMember':
      return isAdmin && targetRole === 'MEMBER';
    case 'setMemberRole':
    case 'deleteChat':
      return false;
    default:
      return action satisfies never;
  }
}
