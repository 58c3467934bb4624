import { visibleChatIds, visibleFrom } from '../chat/visibility.ts';
import type { Queryable } from '../postgres/client.ts';
import { all, either, printCondition, printLexemes, quoteLexeme } from './search-condition.ts';
import type { SearchQuery } from './search-query.ts';
import { blockOf, keyOf, startOfBlock } from './search-token.ts';

/** Which messages to search. Null means no restriction. Times are exclusive. */
export type SearchFilter = {
  chatId: bigint | null;
  senderId: bigint | null;
  sentAfter: Date | null;
  sentBefore: Date | null;
  has: 'FILE' | 'PICTURE' | 'LINK' | null;
  mentionsViewer: boolean | null;
  isPinned: boolean | null;
};

/**
 * What to search for. An empty query matches all messages. `chats` contains the index keys of the chats that the
 * viewer can see, or is null if there are too many chats to list. `unindexed` contains the chats whose messages may not
 * be in the index yet.
 */
export type Search = {
  query: SearchQuery;
  filter: SearchFilter;
  viewerId: bigint;
  chats: readonly string[] | null;
  unindexed: readonly UnindexedChat[];
};

/** A chat whose messages below this seq are not in the index yet. Null means that none of its messages are. */
export type UnindexedChat = { chatId: bigint; belowSeq: number | null };

/** A request for at most `limit` ids beyond `after`, in reading order. */
export type HitRequest = { isOldestFirst: boolean; after: bigint | null; limit: number };

/** A range of ids, with exclusive bounds; null means no bound. */
export type Stretch = { above: bigint | null; below: bigint | null };

/**
 * Returns the ids of the messages that match and that the viewer can see.
 *
 * A common word occurs in a large share of all messages, and the words that begin with it occur in even more, so
 * reading all the index entries takes a while. But some of its newest hits are among the newest messages. Therefore,
 * the newest messages of the viewer's chats (or the oldest, if these come first) are read first, without looking up
 * words in the index. The other messages are looked up by word only if the first step does not fill the page. In both
 * steps, the index lookup is restricted to the viewer's chats, so that messages which the viewer cannot see cost
 * nothing.
 */
export async function listHits(pool: Queryable, search: Search, request: HitRequest): Promise<bigint[]> {
  if (isMarked(search.filter))
    return readStretch(pool, search, { ...request, blocks: null, stretch: toStretch(request) });
  const edge = await readEdge(pool, request);
  if (edge === null) return [];
  const blocks = request.isOldestFirst ? [edge, edge + 1n] : [edge, edge - 1n];
  const near = await readStretch(pool, search, { ...request, blocks, stretch: toStretch(request) });
  if (near.length >= request.limit) return near;
  const border = request.isOldestFirst ? startOfBlock(edge + 2n) - 1n : startOfBlock(edge - 1n);
  const far = await readStretch(pool, search, {
    ...request,
    limit: request.limit - near.length,
    blocks: null,
    stretch: request.isOldestFirst ? { above: border, below: null } : { above: null, below: border },
  });
  return [...near, ...far];
}

/** Returns the range of ids beyond `after`, in reading order. */
export function toStretch({ isOldestFirst, after }: HitRequest): Stretch {
  return isOldestFirst ? { above: after, below: null } : { above: null, below: after };
}

/** Returns the block where reading begins, or null if the index has no entries beyond `after`. */
async function readEdge(pool: Queryable, { isOldestFirst, after }: HitRequest): Promise<bigint | null> {
  const { rows } = await pool.query<{ id: bigint | null }>({
    name: isOldestFirst ? 'oldest_entry' : 'newest_entry',
    text: `select ${isOldestFirst ? 'min' : 'max'}(message_id) as id from search_entries
    where $1::bigint is null or message_id ${isOldestFirst ? '>' : '<'} $1`,
    values: [after],
  });
  const id = rows[0]?.id ?? null;
  return id === null ? null : blockOf(id);
}

/**
 * Whether only a few messages can match, because they must mention the viewer or be pinned. Such messages are found by
 * their ids.
 */
function isMarked({ mentionsViewer, isPinned }: SearchFilter): boolean {
  return mentionsViewer === true || isPinned === true;
}

/** Reads the hits in a range of ids. The statement is not prepared, because the planner must see the search terms. */
async function readStretch(
  pool: Queryable,
  { query, filter, viewerId, chats }: Omit<Search, 'unindexed'>,
  { isOldestFirst, limit, blocks, stretch }: HitRequest & { blocks: readonly bigint[] | null; stretch: Stretch },
): Promise<bigint[]> {
  const values: unknown[] = [];
  const bind = (value: unknown) => `$${values.push(value)}`;
  const viewer = `${bind(viewerId)}::bigint`;
  const keys = isMarked(filter) ? [] : listKeys({ query, filter, chats }, blocks);
  const conditions = [
    ...keys.map((key) => `search_lexemes(e.tokens) @@ ${bind(key)}::tsquery`),
    ...(query.length === 0 ? [] : [printCondition(query, 'e.tokens', bind)]),
    ...(stretch.above === null ? [] : [`e.message_id > ${bind(stretch.above)}`]),
    ...(stretch.below === null ? [] : [`e.message_id < ${bind(stretch.below)}`]),
    ...(filter.mentionsViewer === true ? [`e.message_id in (${mentionsOf(viewer)})`] : []),
    ...(filter.isPinned === true ? [`e.message_id in (${pinnedFor(viewer)})`] : []),
  ];
  const order = isOldestFirst ? 'asc' : 'desc';
  const { rows } = await pool.query<{ id: bigint }>(
    // The subquery is materialized, because PostgreSQL would otherwise walk through all messages in this order.
    `with hit as materialized (select e.message_id from search_entries e where ${conditions.join(' and ') || 'true'})
    select m.id from hit join messages m on m.id = hit.message_id join chats c on c.id = m.chat_id
    where ${listRowConditions(filter, viewer, bind).join(' and ')}
    order by hit.message_id ${order} limit ${bind(limit)}`,
    values,
  );
  return rows.map(({ id }) => id);
}

/** Returns the conditions of the search on the index. Separate conditions are faster than one long condition. */
function listKeys(
  { query, filter, chats }: Pick<Search, 'query' | 'filter' | 'chats'>,
  blocks: readonly bigint[] | null,
): string[] {
  const marks = [
    ...(filter.senderId === null ? [] : [keyOf.sender(filter.senderId)]),
    ...(filter.has === null ? [] : [{ FILE: keyOf.file, PICTURE: keyOf.picture, LINK: keyOf.link }[filter.has]]),
  ].map(quoteLexeme);
  const places = blocks === null ? printLexemes(query) : either(blocks.map((block) => quoteLexeme(keyOf.block(block))));
  const where = all([...marks, ...(places === null ? [] : [places])]);
  return [...(where === '' ? [] : [where]), ...(chats === null ? [] : [either(chats.map(quoteLexeme))])];
}

/**
 * Returns the conditions on `messages m` and `chats c` that apply in addition to those on the index: the visibility
 * rule, and most filters.
 */
export function listRowConditions(filter: SearchFilter, viewer: string, bind: (value: unknown) => string): string[] {
  const isPinned = 'exists (select from pins p where p.chat_id = m.chat_id and p.seq = m.seq)';
  return [
    `m.deleted_at is null and m.seq >= ${visibleFrom('c', viewer)}`,
    ...(filter.chatId === null ? [] : [`m.chat_id = ${bind(filter.chatId)}`]),
    ...(filter.senderId === null ? [] : [`m.sender_id = ${bind(filter.senderId)}`]),
    ...(filter.sentAfter === null ? [] : [`m.created_at > ${bind(filter.sentAfter)}`]),
    ...(filter.sentBefore === null ? [] : [`m.created_at < ${bind(filter.sentBefore)}`]),
    ...(filter.has === 'FILE' ? ['exists (select from files f where f.message_id = m.id)'] : []),
    ...(filter.has === 'PICTURE' ? [hasPicture] : []),
    ...(filter.isPinned === null ? [] : [filter.isPinned ? isPinned : `not ${isPinned}`]),
    ...(filter.mentionsViewer === false ? [`m.id not in (${mentionsOf(viewer)})`] : []),
  ];
}

const hasPicture = `exists (select from files f join blobs b on b.hash = f.blob_hash
  where f.message_id = m.id and b.content_type like 'image/%')`;

/**
 * Returns SQL for the ids of the messages that mention the viewer, or that mention everyone in one of the viewer's
 * chats.
 */
export function mentionsOf(viewer: string): string {
  return `select named.id from mentions n join messages named using (chat_id, seq) where n.user_id = ${viewer}
    union select called.id from messages called join members am using (chat_id)
    where am.user_id = ${viewer} and called.mentions_everyone`;
}

function pinnedFor(viewer: string): string {
  return `select pinned.id from pins p join messages pinned using (chat_id, seq)
    where p.chat_id in (${visibleChatIds(viewer)})`;
}
