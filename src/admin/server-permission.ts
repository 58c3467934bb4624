import type { Caller } from '../core/asker.ts';
import { effectiveRole } from '../core/server-role.ts';
import type { ServerRole } from '../postgres/generated/prisma/client.ts';

/** The actions of staff on the server. A server role grants rights, but it gives no access to chats. */
export type ServerAction =
  | 'readReports'
  | 'resolveReport'
  | 'listUsers'
  | 'suspendUser'
  | 'readAddress'
  | 'readSessions'
  | 'endSession'
  | 'eraseUser'
  | 'setServerRole'
  | 'listChats'
  | 'readAuditLog'
  | 'manageApiKeys'
  | 'manageWebhooks';

/** The server roles of the caller's user and of the user that the action targets, if there is one. */
export type ServerCase = { role: ServerRole; targetRole?: ServerRole };

/**
 * Returns whether the caller may perform this action on the server. All rights of staff are determined here. `role` is
 * the role of the caller's user, or USER for a server key.
 */
export function mayOnServer(caller: Caller, action: ServerAction, { role, targetRole }: ServerCase): boolean {
  return mayStaff(action, { role: effectiveRole(caller, role), ...(targetRole !== undefined && { targetRole }) });
}

/** Returns the lowest role that may perform this action on a user without a role. */
export function staffFor(action: ServerAction): 'MODERATOR' | 'ADMIN' {
  return mayStaff(action, { role: 'MODERATOR' }) ? 'MODERATOR' : 'ADMIN';
}

/** Contains the complete table of rights by action and role. */
function mayStaff(action: ServerAction, { role, targetRole = 'USER' }: ServerCase): boolean {
  if (role === 'USER') return false;
  if (role === 'ADMIN') return true;
  switch (action) {
    case 'readReports':
    case 'resolveReport':
    case 'listUsers':
      return true;
    case 'suspendUser':
      return targetRole === 'USER';
    case 'readAddress':
    case 'readSessions':
    case 'endSession':
    case 'eraseUser':
    case 'setServerRole':
    case 'listChats':
    case 'readAuditLog':
    case 'manageApiKeys':
    case 'manageWebhooks':
      return false;
    default:
      return action satisfies never;
  }
}
