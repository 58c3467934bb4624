import { visibleChatIds, visibleFrom } from '../chat/visibility.ts';
import type { Queryable } from '../postgres/client.ts';
import { matches } from './search-match.ts';
import {
  listRowConditions,
  mentionsOf,
  toStretch,
  type HitRequest,
  type Search,
  type UnindexedChat,
} from './search-statement.ts';
import { readText } from './search-text.ts';
import { hasLink } from './search-token.ts';

/**
 * The maximum number of chats in which a search reads messages that are not indexed yet. Chats with more recent
 * activity take precedence.
 */
const maxChats = 100;
/**
 * `messages` is the maximum number of such messages that a search reads in total. `perChat` is the lowest value for the
 * maximum per chat. `ms` is how long a search may compare messages.
 */
const limits = { messages: 2_000, perChat: 20, ms: 50 };
/** The minimum time, in s, between two renewals of a chat's priority by searches. */
const wantedSeconds = 5;

/** A message that matches and may not be in the index yet. */
export type UnindexedHit = { id: bigint; content: string };

/**
 * Returns the chats that the viewer can see and whose messages are not all in the index, the most recently active
 * first. If `chatId` is not null, only that chat is considered. The list is nearly always empty.
 */
export async function listUnindexedChats(
  pool: Queryable,
  viewerId: bigint,
  chatId: bigint | null,
): Promise<UnindexedChat[]> {
  const { rows } = await pool.query<UnindexedChat>({
    name: 'unindexed_chats',
    text: `select b.chat_id as "chatId", b.below_seq as "belowSeq"
    from search_chat_backlog b join chats c on c.id = b.chat_id
    where case when $2::bigint is null then b.chat_id in (${visibleChatIds('$1')}) else b.chat_id = $2 end
      and ${visibleFrom('c', '$1')} is not null
    order by c.last_activity_at desc limit $3`,
    values: [viewerId, chatId, maxChats],
  });
  if (rows.length > 0) await wantChats(pool, rows);
  return rows;
}

/** Makes the server index these chats before other chats. */
async function wantChats(pool: Queryable, chats: readonly UnindexedChat[]): Promise<void> {
  await pool.query({
    name: 'want_chats',
    text: `update search_chat_backlog set wanted_at = clock_timestamp()
    where chat_id in (
      select chat_id from search_chat_backlog
      where chat_id = any ($1) and wanted_at < clock_timestamp() - $2 * interval '1 s'
      for update skip locked)`,
    values: [chats.map(({ chatId }) => chatId), wantedSeconds],
  });
}

/**
 * Returns the matching messages in the part of these chats that is not indexed yet, in reading order. The search reads
 * no more messages than `limits` allows, so it may miss some until the index contains them.
 */
export async function listUnindexedHits(pool: Queryable, search: Search, request: HitRequest): Promise<UnindexedHit[]> {
  const { query, filter, unindexed } = search;
  if (unindexed.length === 0) return [];
  const rows = await readUnindexed(pool, search, request);
  const hits: UnindexedHit[] = [];
  const endsAt = performance.now() + limits.ms;
  for (const row of rows) {
    if (hits.length === request.limit || performance.now() > endsAt) break;
    if (filter.has === 'LINK' && !hasLink(row.content)) continue;
    if (query.length === 0 || matches(readText(row.content), query)) hits.push(row);
  }
  return hits;
}

async function readUnindexed(
  pool: Queryable,
  { filter, viewerId, unindexed }: Search,
  request: HitRequest,
): Promise<UnindexedHit[]> {
  const values: unknown[] = [];
  const bind = (value: unknown) => `$${values.push(value)}`;
  const viewer = `${bind(viewerId)}::bigint`;
  const chatIds = bind(unindexed.map(({ chatId }) => chatId));
  const belowSeqs = bind(unindexed.map(({ belowSeq }) => belowSeq));
  const { above, below } = toStretch(request);
  const order = request.isOldestFirst ? 'asc' : 'desc';
  const perChat = Math.max(limits.perChat, Math.floor(limits.messages / unindexed.length));
  const bounds = [
    'chat_id = u.chat_id and deleted_at is null and (u.below_seq is null or seq < u.below_seq)',
    ...(above === null ? [] : [`id > ${bind(above)}`]),
    ...(below === null ? [] : [`id < ${bind(below)}`]),
  ];
  const conditions = [
    ...listRowConditions(filter, viewer, bind),
    ...(filter.mentionsViewer === true ? [`m.id in (${mentionsOf(viewer)})`] : []),
  ];
  const { rows } = await pool.query<UnindexedHit>(
    `select m.id, m.content from unnest(${chatIds}::bigint[], ${belowSeqs}::int[]) as u (chat_id, below_seq)
    join chats c on c.id = u.chat_id
    cross join lateral (
      select * from messages where ${bounds.join(' and ')} order by seq ${order} limit ${bind(perChat)}) m
    where ${conditions.join(' and ')} order by m.id ${order} limit ${bind(limits.messages)}`,
    values,
  );
  return rows;
}
