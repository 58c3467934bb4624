import { maxEmailLength } from '../account/email.ts';
import { isSuspended } from '../account/suspension.ts';
import { isVisiblePerson } from '../chat/visibility.ts';
import type { Caller } from '../core/asker.ts';
import { readLine } from '../core/text.ts';
import { InvalidInput, type FieldError } from '../errors.ts';
import type { Queryable } from '../postgres/client.ts';
import { columns } from '../postgres/columns.ts';
import type { User } from '../postgres/generated/prisma/client.ts';
import { toPage, type Page, type PageRequest } from '../postgres/page.ts';
import type { SearchTurns } from '../search/search-turn.ts';

/** Restricts which users to list. Null means no restriction. */
export type UserFilter = { search: string | null; isSuspended: boolean | null };

/**
 * Lists the users of the server, newest first. The key in a cursor is the user's id. `search` finds the users whose
 * username or display name starts with the text, ignoring case, and also, if `withAddress`, the user with exactly that
 * email address. The caller of this function must have checked that `caller` may list users and, if `withAddress`,
 * search by email address. Waits in the same queue as searches. Throws InvalidInput if the search text could match
 * nothing, or if the search takes too long.
 */
export async function listUsers(
  turns: SearchTurns,
  caller: Caller,
  { filter, withAddress, page }: { filter: UserFilter; withAddress: boolean; page: PageRequest },
): Promise<Page<User>> {
  const text = filter.search === null ? null : readSearchText(filter.search);
  const rows = await turns.run(caller, 'search', (pool) =>
    readUsers(pool, { text, withAddress, isSuspended: filter.isSuspended, page }),
  );
  return toPage(rows, page);
}

/**
 * Raw SQL, because Prisma cannot express the indexed expressions. Not a prepared statement, because the planner must
 * know the text to choose between the range of the index that matches the text and the newest users.
 */
async function readUsers(
  client: Queryable,
  wanted: { text: string | null; withAddress: boolean; isSuspended: boolean | null; page: PageRequest },
): Promise<User[]> {
  const { text, page } = wanted;
  const startsWith = (column: string) => `starts_with(fold(u.${column}) collate "C", fold($4))`;
  const matches = [startsWith('username'), startsWith('display_name')];
  if (wanted.withAddress) matches.push('fold(u.email) = fold($4)');
  const conditions = [isVisiblePerson('u'), 'u.id < $1::bigint', 'u.id > $2::bigint'];
  if (text !== null) conditions.push(`(${matches.join(' or ')})`);
  if (wanted.isSuspended !== null) conditions.push(`${wanted.isSuspended ? '' : 'not '}${isSuspended('u.id')}`);
  const { rows } = await client.query<User>(
    `select ${columns.user('u')} from users u
    where ${conditions.join(' and ')}
    order by u.id ${page.isBackward ? 'asc' : 'desc'} limit $3`,
    [page.after?.[0] ?? 2n ** 63n - 1n, page.before?.[0] ?? -1n, page.limit + 1, ...(text === null ? [] : [text])],
  );
  return rows;
}

/**
 * Reads the text of a search for users. Throws InvalidInput if the text could match neither a name nor an address.
 */
function readSearchText(search: string): string {
  const errors: FieldError[] = [];
  const text = readLine(search, ['search'], maxEmailLength, errors);
  if (errors.length > 0) throw new InvalidInput(errors);
  return text;
}
