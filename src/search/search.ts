import type { Asker } from '../core/asker.ts';
import { visibleFrom } from '../chat/visibility.ts';
import { InvalidInput } from '../errors.ts';
import { joined } from '../postgres/columns.ts';
import type { Queryable } from '../postgres/client.ts';
import type { Chat, Message } from '../postgres/generated/prisma/client.ts';
import { lists, toPage, type List, type Page, type PageRequest } from '../postgres/page.ts';
import { countWords, readSearch, type SearchQuery } from './search-query.ts';
import { cutRanked, maxRanked, rankHits } from './search-rank.ts';
import { listHits, type HitRequest, type Search, type SearchFilter } from './search-statement.ts';
import { keyOf } from './search-token.ts';
import type { SearchTurns } from './search-turn.ts';
import { listUnindexedChats, listUnindexedHits } from './search-unindexed.ts';

/** In characters. Real searches are never this long. */
export const maxSearchLength = 500;
/** Each word of a search, and each word of a phrase, is looked up and compared separately. */
export const maxSearchWords = 32;
/** The maximum number of hits that are counted. */
export const maxCounted = 1_000;
/**
 * If an asker can see more chats than this, in addition to public channels, the search covers the whole index, and the
 * hits are filtered afterwards.
 */
const maxNamedChats = 1_000;

/** The sort orders of results. */
export type MessageSort = 'NEWEST' | 'OLDEST' | 'RELEVANCE';

/** What to search for. Without `text`, everything that matches the filter is found. */
export type SearchRequest = { text: string | null; filter: SearchFilter };

/**
 * A parsed request, or null if it searches for nothing: if its text contains no word, or if it has neither a text nor a
 * filter.
 */
export type ReadSearch = { query: SearchQuery; filter: SearchFilter } | null;

/** A message, its chat (which the same statement reads), and the key of its cursor. */
export type FoundMessage = { message: Message; chat: Chat; key: bigint[] };

/** Returns the list for this sort order. Each list has its own cursors. */
export function listOf(sort: MessageSort): List {
  return { NEWEST: lists.foundMessages, OLDEST: lists.foundOldest, RELEVANCE: lists.foundRanked }[sort];
}

/**
 * Parses a request. Throws an InvalidInput if the text has more than `maxSearchLength` characters or `maxSearchWords`
 * words. search-query.ts defines the syntax.
 */
export function readRequest({ text, filter }: SearchRequest): ReadSearch {
  if (text === null || text.trim() === '') return isFiltering(filter) ? { query: [], filter } : null;
  if (text.length > maxSearchLength * 2 || [...text].length > maxSearchLength) {
    throw refuse('TOO_LONG', `must be at most ${maxSearchLength} characters long`);
  }
  const query = readSearch(text.toWellFormed());
  const wordCount = countWords(query);
  if (wordCount > maxSearchWords) {
    throw refuse('TOO_MANY', `must have at most ${maxSearchWords} words, and has ${wordCount}`);
  }
  return query.length === 0 ? null : { query, filter };
}

function refuse(code: 'TOO_LONG' | 'TOO_MANY', message: string): InvalidInput {
  return new InvalidInput([{ path: ['query'], code, message }]);
}

function isFiltering(filter: SearchFilter): boolean {
  return Object.values(filter).some((value) => value !== null);
}

/**
 * Returns the matching messages that the asker can read. Throws InvalidInput for a search that takes too long, and
 * RateLimited when too many searches are waiting.
 */
export async function searchMessages(
  turns: SearchTurns,
  asker: Asker,
  { request, sort, page }: { request: ReadSearch; sort: MessageSort; page: PageRequest },
): Promise<Page<FoundMessage>> {
  if (request === null) return toPage<FoundMessage>([], page);
  return turns.run(asker, 'query', async (pool) => {
    const search = await nameChats(pool, asker, request);
    const keys =
      sort === 'RELEVANCE' ? await listRanked(pool, search, page) : await listByTime(pool, search, { sort, page });
    const { rows, ...rest } = toPage(keys, page);
    return { ...rest, rows: await readMessages(pool, asker, rows) };
  });
}

/**
 * Returns the number of matching messages that the asker can read, counted up to `maxCounted`. Throws like
 * `searchMessages`.
 */
export async function countMessages(turns: SearchTurns, asker: Asker, request: ReadSearch): Promise<number> {
  if (request === null) return 0;
  return turns.run(asker, 'query', async (pool) => {
    const search = await nameChats(pool, asker, request);
    return (await listMatches(pool, search, { isOldestFirst: false, after: null, limit: maxCounted })).ids.length;
  });
}

/** `contents` has the contents of those messages that may be missing from the index. */
type Matches = { ids: bigint[]; contents: ReadonlyMap<bigint, string> };

/** Returns the matches in the index, together with the matches in chats that are not indexed yet. */
async function listMatches(pool: Queryable, search: Search, request: HitRequest): Promise<Matches> {
  const ids = await listHits(pool, search, request);
  const unindexed = await listUnindexedHits(pool, search, request);
  if (unindexed.length === 0) return { ids, contents: new Map() };
  const contents = new Map(unindexed.map(({ id, content }) => [id, content]));
  const sign = request.isOldestFirst ? 1 : -1;
  const all = [...new Set([...ids, ...contents.keys()])].toSorted((one, other) => (one < other ? -sign : sign));
  return { ids: all.slice(0, request.limit), contents };
}

async function listByTime(
  pool: Queryable,
  search: Search,
  { sort, page }: { sort: MessageSort; page: PageRequest },
): Promise<bigint[][]> {
  const hits = { isOldestFirst: sort === 'OLDEST', after: page.after?.[0] ?? null, limit: page.limit + 1 };
  return (await listMatches(pool, search, hits)).ids.map((id) => [id]);
}

/**
 * Returns the newest `maxRanked` matching messages, with the best ones first. A cursor contains the id of the newest
 * message that was ranked for the first page. Later pages rank the same messages, so that no message is missing or
 * appears twice.
 */
async function listRanked(pool: Queryable, search: Search, { after, limit }: PageRequest): Promise<bigint[][]> {
  const newest = after?.[2] ?? null;
  const hits = await listMatches(pool, search, {
    isOldestFirst: false,
    after: newest === null ? null : newest + 1n,
    limit: maxRanked,
  });
  return cutRanked(await rankHits(pool, hits, search.query), { after, limit, newest: newest ?? hits.ids[0] ?? 0n });
}

/**
 * Adds the index keys of the chats that the asker can see. All public channels share one key, except channels that have
 * just become public. Raw SQL, because the statement applies the same rule as visibility.ts, but through an index.
 */
async function nameChats(pool: Queryable, asker: Asker, request: NonNullable<ReadSearch>): Promise<Search> {
  const { chatId } = request.filter;
  const unindexed = await listUnindexedChats(pool, asker.userId, chatId);
  if (chatId !== null) return { ...request, viewerId: asker.userId, chats: [keyOf.chat(chatId)], unindexed };
  const { rows } = await pool.query<{ id: bigint }>({
    name: 'chats_to_search',
    text: `(select c.id from members m join chats c on c.id = m.chat_id
      where m.user_id = $1 and c.type <> 'PUBLIC_CHANNEL' limit $2)
    union
    (select c.id from search_chat_backlog b join chats c on c.id = b.chat_id where c.type = 'PUBLIC_CHANNEL' limit $2)
    limit $2`,
    values: [asker.userId, maxNamedChats + 1],
  });
  const chats = rows.length > maxNamedChats ? null : [keyOf.public, ...rows.map(({ id }) => keyOf.chat(id))];
  return { ...request, viewerId: asker.userId, chats, unindexed };
}

const parts = { message: joined.message('m'), chat: joined.chat('c') };

/** Reads these messages and their chats, and applies the visibility rule once more. */
async function readMessages(pool: Queryable, asker: Asker, keys: readonly bigint[][]): Promise<FoundMessage[]> {
  if (keys.length === 0) return [];
  const idOf = (key: bigint[]) => (key.length === 1 ? key[0] : key[1]) ?? 0n;
  const { rows } = await pool.query<Record<string, unknown>>({
    name: 'found_messages',
    text: `select ${parts.message.columns}, ${parts.chat.columns}
    from messages m join chats c on c.id = m.chat_id
    where m.id = any ($1) and m.deleted_at is null and m.seq >= ${visibleFrom('c', '$2')}`,
    values: [keys.map(idOf), asker.userId],
  });
  const found = new Map(
    rows.flatMap((row) => {
      const message = parts.message.take(row);
      const chat = parts.chat.take(row);
      return message === null || chat === null ? [] : [[message.id, { message, chat }] as const];
    }),
  );
  return keys.flatMap((key) => {
    const each = found.get(idOf(key));
    return each === undefined ? [] : [{ ...each, key }];
  });
}
