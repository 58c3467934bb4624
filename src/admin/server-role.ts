import type { Caller } from '../core/asker.ts';
import { Forbidden, NotFound } from '../errors.ts';
import { inTransaction, type Db, type Queryable } from '../postgres/client.ts';
import { columns } from '../postgres/columns.ts';
import { constraintOf } from '../postgres/sql-state.ts';
import type { ServerRole, User } from '../postgres/generated/prisma/client.ts';
import { lockTarget } from './staff.ts';

/**
 * Gives a user a role on the server, or removes it (USER). Only admins can do this, so no one can promote themselves.
 * The last admin cannot lose the role. Throws Forbidden and NotFound.
 */
export async function setServerRole(
  db: Db,
  caller: Caller,
  { userId, role }: { userId: bigint; role: ServerRole },
): Promise<User> {
  return inTransaction(
    db,
    async (transaction) => {
      await lockAdmins(transaction);
      await lockTarget(transaction, caller, { action: 'setServerRole', userId });
      return grantServerRole(transaction, { userId, role });
    },
    caller,
  );
}

/**
 * Changes the role of an existing user, without a permission check. Throws NotFound if the user does not exist, and
 * Forbidden for the last admin and for a bot. Raw SQL, because Prisma would not say which rule of a trigger refused the
 * change.
 */
export async function grantServerRole(
  client: Queryable,
  { userId, role }: { userId: bigint; role: ServerRole },
): Promise<User> {
  try {
    const { rows } = await client.query<User>(
      `update users u set server_role = $2 where u.id = $1 and u.deleted_at is null returning ${columns.user('u')}`,
      [userId, role],
    );
    if (rows[0] === undefined) throw new NotFound('There is no such user.');
    return rows[0];
  } catch (error) {
    const rule = constraintOf(error);
    if (rule === 'a_bot_has_no_address_and_no_role')
      throw new Forbidden('A bot has no role on the server: the scopes of its API key say what it may do.');
    if (rule !== 'the_server_keeps_an_admin') throw error;
    throw new Forbidden('The server needs an admin: make another user an admin first.');
  }
}

/**
 * Locks the admins in the order of their ids, so that two admins who demote each other do not deadlock. Raw SQL,
 * because Prisma cannot lock rows.
 */
async function lockAdmins(client: Queryable): Promise<void> {
  await client.query(
    `select from users where server_role = 'ADMIN' and deleted_at is null order by id for no key update`,
  );
}
