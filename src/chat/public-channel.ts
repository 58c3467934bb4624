import type { Db } from '../postgres/client.ts';
import type { Chat } from '../postgres/generated/prisma/client.ts';
import { columns } from '../postgres/columns.ts';
import { InvalidInput, type FieldError } from '../errors.ts';
import { forwardPage, type NameKey, type NamePageRequest } from '../postgres/name-page.ts';
import { toPage, type Page } from '../postgres/page.ts';
import { maxNameLength, readLine } from '../core/text.ts';

/** A public channel with its cursor key in the list. */
export type ListedChannel = { chat: Chat; key: NameKey };

/**
 * All public channels, in order of name; the list is the same for every asker. With `search`, only those whose name
 * contains it, ignoring case. Throws InvalidInput if no name could contain the search.
 * As SQL: its order, its keys and its search are expressions that have an index each, which Prisma cannot express.
 */
export async function listPublicChannels(
  db: Db,
  { search, page }: { search: string | null; page: NamePageRequest },
): Promise<Page<ListedChannel>> {
  const part = search === null ? '' : readPart(search);
  const { rows } = await db.pool.query<Chat & { key: string }>({
    // A search has no statement name, so that PostgreSQL plans it each time: a rare text is found by its trigrams, one that
    // most names contain by walking down the list.
    ...(part === '' && { name: 'public_channels' }),
    text: `select ${columns.chat('c')}, fold(c.name) as key
    from chats c
    where c.type = 'PUBLIC_CHANNEL'
      and (fold(c.name) collate "C", c.id) > ($1, $2::bigint)
      ${part === '' ? '' : `and fold(c.name) like '%' || fold($4) || '%'`}
    order by fold(c.name) collate "C", c.id limit $3`,
    values: [
      page.after?.name ?? '',
      page.after?.id ?? -1n,
      page.limit + 1,
      ...(part === '' ? [] : [part.replace(/[\\%_]/g, '\\$&')]),
    ],
  });
  const listed = rows.map(({ key, ...chat }) => ({ chat, key: { name: key, id: chat.id } }));
  return toPage(listed, forwardPage(page));
}

/** An empty search means no search. */
function readPart(search: string): string {
  if (search.trim() === '') return '';
  const errors: FieldError[] = [];
  const part = readLine(search, ['search'], maxNameLength, errors);
  if (errors.length > 0) throw new InvalidInput(errors);
  return part;
}
