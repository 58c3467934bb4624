import { Forbidden, NotFound } from '../errors.ts';
import type { Asker } from '../core/asker.ts';
import { refuseSuspended } from '../account/suspension.ts';
import { userById } from '../people/user.ts';
import type { Queryable } from '../postgres/client.ts';
import type { ServerRole } from '../postgres/generated/prisma/client.ts';
import type { Loaders } from '../postgres/loader.ts';
import { mayOnServer, type ServerAction } from './server-permission.ts';

/** The asker's role on the server; USER for an account that has been erased. For reading: changes use `lockStaff`. */
export async function serverRoleOf(loaders: Loaders, { userId }: Asker): Promise<ServerRole> {
  return (await loaders.of(userById).load(userId))?.serverRole ?? 'USER';
}

/** Whether the asker may do this to no particular user. */
export async function isAllowed(loaders: Loaders, asker: Asker, action: ServerAction): Promise<boolean> {
  return mayOnServer(asker, action, { role: await serverRoleOf(loaders, asker) });
}

/**
 * Throws Forbidden unless the asker may do this to no particular user. Locks the asker's row, so that the role holds
 * until the transaction ends.
 */
export async function lockStaff(client: Queryable, asker: Asker, action: ServerAction): Promise<void> {
  const roles = await lockRoles(client, [asker.userId]);
  await refuseOthers(client, asker, { action, role: roles.get(asker.userId) });
}

/**
 * Locks the asker and the user that they want to act on, and returns that user's role. Throws Forbidden unless the asker
 * may do this to a user with that role, and NotFound if there is no such user. A user without a role on the server
 * receives Forbidden in either case.
 */
export async function lockTarget(
  client: Queryable,
  asker: Asker,
  { action, userId }: { action: ServerAction; userId: bigint },
): Promise<ServerRole> {
  const roles = await lockRoles(client, [asker.userId, userId]);
  const role = roles.get(asker.userId);
  await refuseOthers(client, asker, { action, role });
  const targetRole = roles.get(userId);
  if (targetRole === undefined) throw new NotFound('There is no such user.');
  if (!mayOnServer(asker, action, { role: role ?? 'USER', targetRole })) {
    throw new Forbidden('Only admins of the server can do this to its moderators and admins.');
  }
  return targetRole;
}

/** A suspended user has no sessions, but one of their requests may still be in progress. */
async function refuseOthers(
  client: Queryable,
  asker: Asker,
  { action, role = 'USER' }: { action: ServerAction; role: ServerRole | undefined },
): Promise<void> {
  if (!mayOnServer(asker, action, { role })) {
    const staff = mayOnServer(asker, action, { role: 'MODERATOR' }) ? 'moderators and admins' : 'admins';
    throw new Forbidden(`Only ${staff} of the server can do this.`);
  }
  await refuseSuspended(client, asker.userId);
}

/** In the order of the ids, so that two of staff who act on each other take turns. Raw SQL, for the lock. */
async function lockRoles(client: Queryable, userIds: readonly bigint[]): Promise<Map<bigint, ServerRole>> {
  const { rows } = await client.query<{ id: bigint; role: ServerRole }>(
    `select id, server_role as role from users
    where id = any ($1) and deleted_at is null order by id for no key update`,
    [userIds],
  );
  return new Map(rows.map(({ id, role }) => [id, role]));
}

/** Locks the row of a user, for an operator who acts on them. Throws NotFound if the account is gone. */
export async function lockAccount(client: Queryable, userId: bigint): Promise<void> {
  if (!(await lockRoles(client, [userId])).has(userId)) throw new NotFound('There is no such user.');
}
