import type { Asker } from '../core/asker.ts';
import type { Queryable } from '../postgres/client.ts';
import type { Chat } from '../postgres/generated/prisma/client.ts';
import { columns } from '../postgres/columns.ts';
import { InvalidInput, type FieldError } from '../errors.ts';
import { forwardPage, type NameKey, type NamePageRequest } from '../postgres/name-page.ts';
import { toPage, type Page } from '../postgres/page.ts';
import { isRestricted } from '../postgres/restriction.ts';
import { maxNameLength, readLine } from '../core/text.ts';
import type { SearchTurns } from '../search/search-turn.ts';

/** A public channel with its cursor key in the list. */
export type ListedChannel = { chat: Chat; key: NameKey };

/**
 * The public channels whose name contains `search`, ignoring case, ordered by name. It is queued like a search, because
 * the index does not help to find one or two letters. Throws InvalidInput for a search that cannot be part of a name or
 * that takes too long; RateLimited when too many wait.
 */
export async function searchPublicChannels(
  turns: SearchTurns,
  asker: Asker,
  { search, page }: { search: string; page: NamePageRequest },
): Promise<Page<ListedChannel>> {
  const part = readPart(search);
  return turns.run(asker, 'search', (pool) => listPublicChannels(pool, asker, { part, page }));
}

/**
 * The public channels by name, except those that the asker is banned from; with a `part`, those whose name contains it.
 * Raw SQL: its order, its keys and its search are expressions, each with an index, which Prisma cannot express.
 */
export async function listPublicChannels(
  pool: Queryable,
  asker: Asker,
  { part, page }: { part: string; page: NamePageRequest },
): Promise<Page<ListedChannel>> {
  const { rows } = await pool.query<Chat & { foldedName: string }>({
    // A search has no statement name, so that PostgreSQL plans it each time: it finds a rare text by trigrams, and a
    // text that most names contain by reading the list from its start.
    ...(part === '' && { name: 'public_channels' }),
    text: `select ${columns.chat('c')}, fold(c.name) as "foldedName"
    from chats c
    where c.type = 'PUBLIC_CHANNEL'
      and (fold(c.name) collate "C", c.id) > ($1, $2::bigint)
      and not ${isRestricted('BAN', 'c.id', '$4')}
      ${part === '' ? '' : `and fold(c.name) like '%' || fold($5) || '%'`}
    order by fold(c.name) collate "C", c.id limit $3`,
    values: [
      page.after?.name ?? '',
      page.after?.id ?? -1n,
      page.limit + 1,
      asker.userId,
      ...(part === '' ? [] : [part.replace(/[\\%_]/g, '\\$&')]),
    ],
  });
  const listed = rows.map(({ foldedName, ...chat }) => ({ chat, key: { name: foldedName, id: chat.id } }));
  return toPage(listed, forwardPage(page));
}

function readPart(search: string): string {
  const errors: FieldError[] = [];
  const part = readLine(search, ['search'], maxNameLength, errors);
  if (errors.length > 0) throw new InvalidInput(errors);
  return part;
}
