import type { Db } from '../postgres/client.ts';
import type { User } from '../postgres/generated/prisma/client.ts';
import { columns } from '../postgres/columns.ts';
import { byId, defineLoader } from '../postgres/loader.ts';
import { InvalidInput, NotFound, Unauthenticated, type FieldError } from '../errors.ts';
import { isExternalKey } from '../core/external-key.ts';
import { maxNameLength, readName } from '../core/text.ts';
import type { Asker } from '../core/asker.ts';
import { isVisiblePerson, visiblePeople } from '../chat/visibility.ts';

/**
 * Loads users by id; null if the account is erased or being erased. Raw SQL, which costs half as much as Prisma,
 * because this runs for every message that is sent or shown.
 */
export const userById = defineLoader({
  load: byId((db, ids) =>
    readUsers(db, ids, {
      name: 'users_by_id',
      text: `select ${columns.user('u')} from users u where u.id = any ($1) and ${isVisiblePerson('u')}`,
    }),
  ),
});

/**
 * Loads users by id, including users whose account is being erased while they are still members of chats. Raw SQL,
 * which costs half as much as Prisma, because this runs for every member that is shown.
 */
export const memberUserById = defineLoader({
  load: byId((db, ids) =>
    readUsers(db, ids, {
      name: 'member_users_by_id',
      text: `select ${columns.user('u')} from users u where u.id = any ($1)`,
    }),
  ),
});

async function readUsers({ pool }: Db, ids: readonly bigint[], statement: { name: string; text: string }) {
  const { rows } = await pool.query<User>({ ...statement, values: [ids] });
  return new Map(rows.map((user) => [user.id, user]));
}

/**
 * Returns the user with this key, which the embedding product has assigned; null if there is no such user or their
 * account is being erased.
 */
export async function findUserByKey({ prisma }: Db, key: string): Promise<User | null> {
  return isExternalKey(key) ? prisma.user.findFirst({ where: { key, ...visiblePeople } }) : null;
}

/**
 * Returns the user with this username, ignoring case, like the unique index on usernames; null if there is no such user
 * or their account is being erased. Raw SQL, to use the index on `fold()`.
 */
export async function findUserByName({ pool }: Db, username: string): Promise<User | null> {
  if (username.length > maxNameLength || username.includes('\0')) return null;
  const { rows } = await pool.query<User>({
    name: 'user_by_name',
    text: `select ${columns.user('u')} from users u where fold(u.username) = fold($1) and ${isVisiblePerson('u')}`,
    values: [username],
  });
  return rows[0] ?? null;
}

/** The user. Throws NotFound if the user does not exist, or if the account is erased or being erased. */
export async function requireUser(db: Db, userId: bigint): Promise<User> {
  const user = await db.prisma.user.findFirst({ where: { id: userId, ...visiblePeople } });
  if (user === null) throw new NotFound('There is no such user.');
  return user;
}

/**
 * Returns a placeholder for a user whose row was deleted after their membership was read; it reveals as little as an
 * account that is being erased.
 */
export function erasedUser(id: bigint): User {
  const at = new Date(0);
  return {
    id,
    username: `erased_${id}`,
    email: `${id}@erased.invalid`,
    displayName: null,
    createdAt: at,
    deletedAt: at,
    avatarFileId: null,
    serverRole: 'USER',
    emailVerifiedAt: null,
    key: null,
    custom: {},
    kind: 'HUMAN',
  };
}

/**
 * Changes the asker's public profile; undefined leaves a property unchanged, and null removes it. If anything changed,
 * everyone who shares a chat with the asker receives a UserUpdated event. Throws InvalidInput for an invalid display
 * name, and Unauthenticated if the account has been deleted. The edge (api/limit.ts) limits how often a user may call
 * this.
 */
export async function updateProfile(
  { db }: { db: Db },
  asker: Asker,
  change: { displayName: string | null | undefined },
): Promise<User> {
  const errors: FieldError[] = [];
  const displayName =
    change.displayName == null ? null : readName(change.displayName, ['displayName'], maxNameLength, errors);
  if (errors.length > 0) throw new InvalidInput(errors);
  const [user] = await db.prisma.user.updateManyAndReturn({
    where: { id: asker.userId, ...visiblePeople },
    // The statement returns the user even if nothing changes.
    data: change.displayName === undefined ? { id: asker.userId } : { displayName },
  });
  if (user === undefined) throw new Unauthenticated('The account has been deleted.');
  return user;
}
