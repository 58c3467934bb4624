import type { Caller, Program } from './asker.ts';
import type { Scope } from './scope.ts';

/** A role on the whole server, with the same values as the enum `server_role` in the database. */
type ServerRole = 'USER' | 'MODERATOR' | 'ADMIN';

/**
 * Returns the role that applies to the caller. On a device, this is the user's own role. For a program, it is the role
 * that its scopes grant, but never a higher role than that of the user it acts as.
 */
export function effectiveRole(caller: Caller, role: ServerRole): ServerRole {
  if (caller.kind === 'SESSION') return role;
  const granted = roleOf(caller.scopes);
  return caller.userId !== null && caller.isActing && ranks[role] < ranks[granted] ? role : granted;
}

const ranks: Record<ServerRole, number> = { USER: 0, MODERATOR: 1, ADMIN: 2 };

function roleOf(scopes: ReadonlySet<Scope>): ServerRole {
  if (scopes.has('ADMIN')) return 'ADMIN';
  return scopes.has('MODERATE') ? 'MODERATOR' : 'USER';
}

/** Returns whether a program's scopes allow everything that a user with this role may do as server staff. */
export function coversRole({ scopes }: Pick<Program, 'scopes'>, role: ServerRole): boolean {
  return ranks[roleOf(scopes)] >= ranks[role];
}
