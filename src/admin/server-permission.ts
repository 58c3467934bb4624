import type { Asker } from '../core/asker.ts';
import type { ServerRole } from '../postgres/generated/prisma/client.ts';

/** What staff may do on the server. A server role adds rights, never visibility: it opens no chat. */
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
  | 'readAuditLog';

/** The asker's role on the server, and the role of the user that `suspendUser` targets. */
export type ServerCase = { role: ServerRole; targetRole?: ServerRole };

/**
 * Whether the asker may do this on the server; all rights of staff are decided here. A session may do everything that
 * its user may do; further kinds of asker will be limited here.
 */
export function mayOnServer(asker: Asker, action: ServerAction, access: ServerCase): boolean {
  switch (asker.kind) {
    case 'SESSION':
      return mayStaff(action, access);
    default:
      return asker.kind satisfies never;
  }
}

/** The complete table of rights by action and role. */
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
      return false;
    default:
      return action satisfies never;
  }
}
