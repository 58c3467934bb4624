import type { Db } from '../postgres/client.ts';
import type { User } from '../postgres/generated/prisma/client.ts';
import { columns } from '../postgres/columns.ts';
import { defineLoader, loadTogether } from '../postgres/loader.ts';
import { InvalidInput, NotFound, Unauthenticated, type FieldError } from '../errors.ts';
import { forwardPage, type NameKey, type NamePageRequest } from '../postgres/name-page.ts';
import { toPage, type Page } from '../postgres/page.ts';
import { maxNameLength, readLine } from '../core/text.ts';
import type { Asker } from '../core/asker.ts';
import { isVisiblePerson, visiblePeople } from '../chat/visibility.ts';

/** A person with their place in the list of those found. */
export type FoundUser = { user: User; key: NameKey };

/** People by id; null for one whose account is erased or being erased. As SQL: every message that is sent or shown asks. */
export const userById = defineLoader({
  load: loadTogether((db, ids) =>
    readUsers(db, ids, {
      name: 'users_by_id',
      text: `select ${columns.user('u')} from users u where u.id = any ($1) and ${isVisiblePerson('u')}`,
    }),
  ),
});

/**
 * People by id, also those whose account is being erased, for as long as they are still members somewhere. As SQL: every
 * member that is shown asks.
 */
export const memberUserById = defineLoader({
  load: loadTogether((db, ids) =>
    readUsers(db, ids, {
      name: 'member_users_by_id',
      text: `select ${columns.user('u')} from users u where u.id = any ($1)`,
    }),
  ),
});

async function readUsers({ pool }: Db, ids: bigint[], statement: { name: string; text: string }) {
  const { rows } = await pool.query<User>({ ...statement, values: [ids] });
  return new Map(rows.map((user) => [user.id, user]));
}

/** The person. NotFound for one who isn't there, or not any more. */
export async function requireUser(db: Db, userId: bigint): Promise<User> {
  const user = await db.prisma.user.findFirst({ where: { id: userId, ...visiblePeople } });
  if (user === null) throw new NotFound('There is no such user.');
  return user;
}

/** Stands for one whose row went after their membership had been read: it says as little as a row that is to go. */
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
  };
}

/**
 * Changes what everybody sees of the viewer; undefined leaves a thing as it is, null takes it away. Whoever shares a
 * chat with them hears UserUpdated, if anything did change. InvalidInput for what is no display name, RateLimited for
 * changes all the time.
 */
export async function updateProfile(
  { db }: { db: Db },
  asker: Asker,
  change: { displayName: string | null | undefined },
): Promise<User> {
  const errors: FieldError[] = [];
  const displayName =
    change.displayName == null ? null : readLine(change.displayName, ['displayName'], maxNameLength, errors);
  if (errors.length > 0) throw new InvalidInput(errors);
  const [user] = await db.prisma.user.updateManyAndReturn({
    where: { id: asker.userId, ...visiblePeople },
    // A profile that is left as it is is still returned.
    data: change.displayName === undefined ? { id: asker.userId } : { displayName },
  });
  if (user === undefined) throw new Unauthenticated('The account has been deleted.');
  return user;
}

/**
 * The people whose username or display name begins with `search`, without regard to case, in the order of that name;
 * no one for an empty search. Throws InvalidInput for a search that no name could begin with.
 * As SQL: its order and its keys are expressions that have an index each, which Prisma can't say.
 */
export async function searchUsers(
  db: Db,
  { search, page }: { search: string; page: NamePageRequest },
): Promise<Page<FoundUser>> {
  const beginning = readBeginning(search);
  if (beginning === '') return toPage<FoundUser>([], forwardPage(page));
  const begins = (column: string) => `starts_with(fold(u.${column}) collate "C", fold($1))`;
  // Each half takes what it needs from the index on its name, however many people there are.
  const half = (column: string, others: string) => `(
    select u.id, fold(u.${column}) collate "C" as key from users u
    where ${begins(column)} ${others} and ${isVisiblePerson('u')}
      and (fold(u.${column}) collate "C", u.id) > ($2, $3::bigint)
    order by fold(u.${column}) collate "C", u.id limit $4)`;
  // Not a prepared statement: which part of the index it is about can be planned only when the beginning is known.
  const { rows } = await db.pool.query<User & { key: string }>(
    `select ${columns.user('u')}, found.key
    from (
      ${half('username', '')}
      union all
      ${half('display_name', `and not ${begins('username')}`)}
    ) found join users u on u.id = found.id
    order by found.key, found.id limit $4`,
    [beginning, page.after?.name ?? '', page.after?.id ?? -1n, page.limit + 1],
  );
  const found = rows.map(({ key, ...user }) => ({ user, key: { name: key, id: user.id } }));
  return toPage(found, forwardPage(page));
}

function readBeginning(search: string): string {
  if (search.trim() === '') return '';
  const errors: FieldError[] = [];
  const beginning = readLine(search, ['search'], maxNameLength, errors);
  if (errors.length > 0) throw new InvalidInput(errors);
  return beginning;
}
