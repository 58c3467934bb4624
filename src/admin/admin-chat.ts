import type { Caller } from '../core/asker.ts';
import { maxNameLength, readLine } from '../core/text.ts';
import { InvalidInput, type FieldError } from '../errors.ts';
import type { Queryable } from '../postgres/client.ts';
import { columns } from '../postgres/columns.ts';
import type { Chat } from '../postgres/generated/prisma/client.ts';
import { toPage, type Page, type PageRequest } from '../postgres/page.ts';
import type { SearchTurns } from '../search/search-turn.ts';

/**
 * Lists all chats of the server, newest first. The key in a cursor is the chat's id. `search` finds the chats whose
 * name starts with the text, ignoring case. The caller of this function must have checked that `caller` may list chats.
 * Waits in the same queue as searches. Throws InvalidInput if the search text cannot be the beginning of a name, or if
 * the search takes too long.
 */
export async function listAllChats(
  turns: SearchTurns,
  caller: Caller,
  { search, page }: { search: string | null; page: PageRequest },
): Promise<Page<Chat>> {
  const prefix = search === null ? null : readPrefix(search);
  const rows = await turns.run(caller, 'search', (pool) => readChats(pool, { prefix, page }));
  return toPage(rows, page);
}

/** Raw SQL, because Prisma cannot express the indexed expression. As in `listUsers`, the statement is not prepared. */
async function readChats(
  client: Queryable,
  { prefix, page }: { prefix: string | null; page: PageRequest },
): Promise<Chat[]> {
  const { rows } = await client.query<Chat>(
    `select ${columns.chat('c')} from chats c
    where c.id < $1::bigint and c.id > $2::bigint
      ${prefix === null ? '' : 'and starts_with(fold(c.name) collate "C", fold($4))'}
    order by c.id ${page.isBackward ? 'asc' : 'desc'} limit $3`,
    [page.after?.[0] ?? 2n ** 63n - 1n, page.before?.[0] ?? -1n, page.limit + 1, ...(prefix === null ? [] : [prefix])],
  );
  return rows;
}

function readPrefix(search: string): string {
  const errors: FieldError[] = [];
  const prefix = readLine(search, ['search'], maxNameLength, errors);
  if (errors.length > 0) throw new InvalidInput(errors);
  return prefix;
}
