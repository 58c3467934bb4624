import { Forbidden, NotFound } from '../errors.ts';
import type { Caller } from '../core/asker.ts';
import { effectiveRole } from '../core/server-role.ts';
import { refuseSuspended } from '../account/suspension.ts';
import { userById } from '../people/user.ts';
import type { Queryable } from '../postgres/client.ts';
import type { ServerRole } from '../postgres/generated/prisma/client.ts';
import type { Loaders } from '../postgres/loader.ts';
import { mayOnServer, staffFor, type ServerAction } from './server-permission.ts';

/**
 * Returns the caller's effective role on the server; USER if the account has been erased. Use this function only for
 * reads; changes use `lockStaff`.
 */
export async function serverRoleOf(loaders: Loaders, caller: Caller): Promise<ServerRole> {
  return effectiveRole(caller, await ownRoleOf(loaders, caller));
}

async function ownRoleOf(loaders: Loaders, { userId }: Caller): Promise<ServerRole> {
  return userId === null ? 'USER' : ((await loaders.of(userById).load(userId))?.serverRole ?? 'USER');
}

/** Returns whether the caller may perform an action that does not target a particular user. */
export async function isAllowed(loaders: Loaders, caller: Caller, action: ServerAction): Promise<boolean> {
  return mayOnServer(caller, action, { role: await ownRoleOf(loaders, caller) });
}

/**
 * Throws Forbidden unless the caller may perform the action, which does not target a particular user. Locks the row of
 * the caller's user, so that the role cannot change before the transaction ends.
 */
export async function lockStaff(client: Queryable, caller: Caller, action: ServerAction): Promise<void> {
  const roles = await lockRoles(client, caller.userId === null ? [] : [caller.userId]);
  await refuseOthers(client, caller, { action, role: roles.get(caller.userId) });
}

/**
 * Locks the caller's user and the target, and returns the target's role. Throws Forbidden unless the caller may perform
 * the action on a user with that role, and NotFound if there is no such user. A user without a role on the server gets
 * Forbidden in both cases.
 */
export async function lockTarget(
  client: Queryable,
  caller: Caller,
  { action, userId }: { action: ServerAction; userId: bigint },
): Promise<ServerRole> {
  const roles = await lockRoles(client, caller.userId === null ? [userId] : [caller.userId, userId]);
  const role = roles.get(caller.userId);
  await refuseOthers(client, caller, { action, role });
  const targetRole = roles.get(userId);
  if (targetRole === undefined) throw new NotFound('There is no such user.');
  if (!mayOnServer(caller, action, { role: role ?? 'USER', targetRole })) {
    throw new Forbidden('Only server admins can do this to moderators and admins of the server.');
  }
  return targetRole;
}

/**
 * Throws Forbidden unless the caller may perform the action. A suspended user has no sessions, but one of their
 * requests may still be in progress.
 */
async function refuseOthers(
  client: Queryable,
  caller: Caller,
  { action, role = 'USER' }: { action: ServerAction; role: ServerRole | undefined },
): Promise<void> {
  if (!mayOnServer(caller, action, { role })) throw new Forbidden(refusalOf(action));
  if (caller.userId !== null) await refuseSuspended(client, caller.userId);
}

function refusalOf(action: ServerAction): string {
  const staff = staffFor(action) === 'MODERATOR' ? 'moderators and admins' : 'admins';
  return `Only ${staff} of the server can do this.`;
}

/**
 * Locks the users in the order of their ids, so that two staff members who act on each other do not cause a deadlock.
 * Raw SQL, because Prisma cannot lock rows.
 */
async function lockRoles(client: Queryable, userIds: readonly bigint[]): Promise<Map<bigint | null, ServerRole>> {
  const { rows } = await client.query<{ id: bigint | null; role: ServerRole }>(
    `select id, server_role as role from users
    where id = any ($1) and deleted_at is null order by id for no key update`,
    [userIds],
  );
  return new Map(rows.map(({ id, role }) => [id, role]));
}

/** Locks the row of a user that an operator wants to change. Throws NotFound if the account has been erased. */
export async function lockAccount(client: Queryable, userId: bigint): Promise<void> {
  if (!(await lockRoles(client, [userId])).has(userId)) throw new NotFound('There is no such user.');
}
