import type { Asker } from '../core/asker.ts';
import { isVisiblePerson } from '../chat/visibility.ts';
import type { Queryable } from '../postgres/client.ts';
import { columns } from '../postgres/columns.ts';
import type { User } from '../postgres/generated/prisma/client.ts';
import { forwardPage, type NameKey, type NamePageRequest } from '../postgres/name-page.ts';
import { toPage, type Page } from '../postgres/page.ts';
import { listPendingNames } from '../search/name-index.ts';
import { readNameSearch, type NameSearch } from '../search/name-search.ts';
import { printCondition, printLexemes, printPattern } from '../search/search-condition.ts';
import type { SearchQuery } from '../search/search-query.ts';
import { printNames } from '../search/search-token.ts';
import type { SearchTurns } from '../search/search-turn.ts';
import { isHookBot } from './hook-bot.ts';
import { unnest } from '../postgres/unnest.ts';

/** A user, and the key of their cursor in the search results. */
export type FoundUser = { user: User; key: NameKey };

/**
 * If the index has more matches than this, the search examines only this many of them, in addition to acquaintances.
 * This keeps a search for the first letters of a name fast even among a million users.
 */
const maxHits = 5_000;
/** Members of a chat with more members than this do not count as acquaintances. */
const maxSharedMembers = 1_000;

/**
 * Finds users by username and display name. Each word of `search` must be the beginning of a word in one of these
 * names. Leaves out the bots of incoming webhooks. Returns no users for a search without a word. Users who share a chat
 * of at most `maxSharedMembers` members with the asker come first, followed by users whose names contain the complete
 * words. Within each group, users are sorted by username. Throws InvalidInput for a search that no name could match or
 * that takes too long; RateLimited if too many searches are waiting.
 */
export async function searchUsers(
  turns: SearchTurns,
  asker: Asker,
  { search, page }: { search: string; page: NamePageRequest },
): Promise<Page<FoundUser>> {
  const names = readNameSearch(search);
  if (names === null) return toPage<FoundUser>([], forwardPage(page));
  const rows = await turns.run(asker, 'search', (pool) => findUsers(pool, asker, { ...names, page }));
  const found = rows.map(({ place, ...user }) => ({ user, key: { name: place, id: user.id } }));
  return toPage(found, forwardPage(page));
}

/**
 * Raw SQL: Prisma can express neither the text search nor its sort order. The statement is not prepared, so that the
 * planner sees the words.
 */
async function findUsers(
  pool: Queryable,
  asker: Asker,
  { query, lexemes, page }: NameSearch & { page: NamePageRequest },
): Promise<(User & { place: string })[]> {
  const pending = await listPendingNames(pool, 'users');
  const values: unknown[] = [
    asker.userId,
    lexemes,
    pending.map(({ id }) => id),
    pending.map(({ names }) => printNames(names)),
    page.after?.name ?? '',
    page.after?.id ?? -1n,
    page.limit + 1,
    query.flatMap((terms) => terms.flatMap(({ phrases }) => phrases.map(printWhole))),
    printLexemes(ofWholeWords(query)),
  ];
  const condition = printCondition(query, 'p.tokens', (value) => `$${values.push(value)}`);
  const indexed = (wanted: string) => `(select p.user_id, p.tokens from search_people p
        where search_lexemes(p.tokens) @@ ${wanted}::tsquery and ${condition} limit ${maxHits})`;
  const { rows } = await pool.query<User & { place: string }>(
    `with acquainted as materialized (
      select distinct theirs.user_id from members mine
      join chats c on c.id = mine.chat_id and c.member_count <= ${maxSharedMembers}
      join members theirs on theirs.chat_id = mine.chat_id
      where mine.user_id = $1
    ), hit as materialized (
      ${indexed('$2')}
      union ${indexed('$9')}
      union select p.user_id, p.tokens from acquainted join search_people p using (user_id) where ${condition}
      union select p.user_id, p.tokens from ${unnest('$3::bigint[]', '$4::text[]')} as p (user_id, tokens) where ${condition}
    )
    select * from (
      select distinct on (u.id) ${columns.user('u')},
        (case when a.user_id is null then 'b' else 'a' end || case when hit.tokens like all ($8::text[]) then 'a' else 'b' end
          || fold(u.username)) collate "C" as place
      from hit join users u on u.id = hit.user_id left join acquainted a on a.user_id = u.id
      where ${isVisiblePerson('u')} and not ${isHookBot('u')}
      order by u.id
    ) found
    where (place, id) > ($5 collate "C", $6::bigint) order by place, id limit $7`,
    values,
  );
  return rows;
}

function ofWholeWords(query: SearchQuery): SearchQuery {
  return query.map((terms) =>
    terms.map((term) => ({ ...term, phrases: term.phrases.map((phrase) => ({ ...phrase, isWhole: true })) })),
  );
}

function printWhole(phrase: Parameters<typeof printPattern>[0]): string {
  return printPattern({ ...phrase, isWhole: true });
}
