import type { Asker } from '../core/asker.ts';
import type { Queryable } from '../postgres/client.ts';
import type { Chat } from '../postgres/generated/prisma/client.ts';
import { columns } from '../postgres/columns.ts';
import { forwardPage, type NameKey, type NamePageRequest } from '../postgres/name-page.ts';
import { toPage, type Page } from '../postgres/page.ts';
import { isRestricted } from '../postgres/restriction.ts';
import { listPendingNames } from '../search/name-index.ts';
import { readNameSearch, type NameSearch } from '../search/name-search.ts';
import { printCondition } from '../search/search-condition.ts';
import { matches } from '../search/search-match.ts';
import type { SearchQuery } from '../search/search-query.ts';
import { readText } from '../search/search-text.ts';
import type { SearchTurns } from '../search/search-turn.ts';

/** A public channel, with its cursor key in the list. */
export type ListedChannel = { chat: Chat; key: NameKey };

/**
 * Finds the public channels whose name matches `search`, ordered by name. Each word of `search` must be the beginning
 * of a word in the name. A search without a word finds no channels. Throws InvalidInput for a search that cannot match
 * any name or that takes too long, and RateLimited if too many searches are waiting.
 */
export async function searchPublicChannels(
  turns: SearchTurns,
  asker: Asker,
  { search, page }: { search: string; page: NamePageRequest },
): Promise<Page<ListedChannel>> {
  const names = readNameSearch(search);
  if (names === null) return toPage<ListedChannel>([], forwardPage(page));
  const rows = await turns.run(asker, 'search', (pool) => findChannels(pool, asker, { ...names, page }));
  return toChannels(rows, page);
}

/** Lists the public channels by name, except those from which the asker is banned. */
export async function listPublicChannels(
  pool: Queryable,
  asker: Asker,
  page: NamePageRequest,
): Promise<Page<ListedChannel>> {
  const { rows } = await pool.query<FoundChannel>({
    name: 'public_channels',
    text: printList('chats c', 'true'),
    values: listKeys(asker, page),
  });
  return toChannels(rows, page);
}

type FoundChannel = Chat & { foldedName: string };

/**
 * The number of channels that a search examines in list order. It is slightly larger than the largest page.
 */
const maxWalked = 110;

/**
 * Raw SQL, because the sort order and the condition are expressions that have their own indexes. A search for words
 * that most names contain can fill its page from the next few channels in the list. For all other searches, the word
 * index provides the matching channels, which are then sorted.
 */
async function findChannels(
  pool: Queryable,
  asker: Asker,
  { query, lexemes, page }: NameSearch & { page: NamePageRequest },
): Promise<FoundChannel[]> {
  const pending = await listPendingNames(pool, 'channels');
  const unindexed = pending.filter(({ names }) => names.some((name) => matches(readText(name), query)));
  const others = await readUnindexed(pool, asker, { ids: unindexed.map(({ id }) => id), page });
  const next = await walkChannels(pool, asker, { query, page });
  if (next.length > page.limit) return mergeChannels(next, others);
  const values = listKeys(asker, page);
  const bind = (value: unknown) => `$${values.push(value)}`;
  const condition = `search_lexemes(s.tokens) @@ ${bind(lexemes)}::tsquery and ${printCondition(query, 's.tokens', bind)}`;
  const { rows } = await pool.query<FoundChannel>(
    printList('chats c join search_channels s on s.chat_id = c.id', condition),
    values,
  );
  return mergeChannels(rows, others);
}

/** Returns the matching channels among the next `maxWalked` channels. */
async function walkChannels(
  pool: Queryable,
  asker: Asker,
  { query, page }: { query: SearchQuery; page: NamePageRequest },
): Promise<FoundChannel[]> {
  const values = listKeys(asker, { ...page, limit: maxWalked });
  const condition = printCondition(query, 's.tokens', (value) => `$${values.push(value)}`);
  const { rows } = await pool.query<FoundChannel>(
    // Uses a subquery for each channel, because PostgreSQL would read all names for a join.
    `select * from (${printList('chats c', 'true')}) c
    where (select ${condition} from search_channels s where s.chat_id = c.id)
    order by "foldedName" collate "C", id limit $${values.push(page.limit + 1)}`,
    values,
  );
  return rows;
}

/** Returns those of these channels that belong on the page. Their names are not in the index yet. */
async function readUnindexed(
  pool: Queryable,
  asker: Asker,
  { ids, page }: { ids: readonly bigint[]; page: NamePageRequest },
): Promise<FoundChannel[]> {
  if (ids.length === 0) return [];
  const { rows } = await pool.query<FoundChannel>({
    name: 'unindexed_channels_found',
    text: printList('chats c', 'c.id = any ($5::bigint[])'),
    values: [...listKeys(asker, page), ids],
  });
  return rows;
}

/** Merges the channels from both lists in the database's order, without duplicates. */
function mergeChannels(one: readonly FoundChannel[], other: readonly FoundChannel[]): FoundChannel[] {
  const all = new Map([...one, ...other].map((channel) => [channel.id, channel]));
  const bytesOf = ({ foldedName }: FoundChannel) => Buffer.from(foldedName);
  return [...all.values()].toSorted(
    (a, b) => Buffer.compare(bytesOf(a), bytesOf(b)) || Number(a.id > b.id) - Number(a.id < b.id),
  );
}

/**
 * Builds the statement that lists the public channels in `source` that meet the condition. Its first values are those
 * that `listKeys` returns.
 */
function printList(source: string, condition: string): string {
  return `select ${columns.chat('c')}, fold(c.name) as "foldedName"
    from ${source}
    where c.type = 'PUBLIC_CHANNEL'
      and (fold(c.name) collate "C", c.id) > ($1, $2::bigint)
      and not ${isRestricted('BAN', 'c.id', '$4')} and ${condition}
    order by fold(c.name) collate "C", c.id limit $3`;
}

function listKeys(asker: Asker, { after, limit }: NamePageRequest): unknown[] {
  return [after?.name ?? '', after?.id ?? -1n, limit + 1, asker.userId];
}

function toChannels(rows: readonly FoundChannel[], page: NamePageRequest): Page<ListedChannel> {
  const listed = rows.map(({ foldedName, ...chat }) => ({ chat, key: { name: foldedName, id: chat.id } }));
  return toPage(listed, forwardPage(page));
}
