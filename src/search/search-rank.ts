import { foldCase } from '../core/fold.ts';
import type { Queryable } from '../postgres/client.ts';
import { printPattern } from './search-condition.ts';
import type { SearchQuery, Term } from './search-query.ts';
import { printText } from './search-text.ts';

/** The maximum number of hits that are ranked, which are the newest ones. */
export const maxRanked = 1_000;

/**
 * If only the beginning of a word matches, each missing letter reduces the score, up to this number of letters.
 */
const maxMissing = 5;

/** A message and a score for how well it matches. */
export type RankedHit = { id: bigint; score: number };

/**
 * Ranks the messages, including those in `contents`, which may be missing from the index. A whole word counts more than
 * the beginning of a word, and a beginning counts more if fewer letters are missing. A word with the same accents as in
 * the search counts more than the same word without them. Returns the best messages first, and newer ones first among
 * those with equal scores.
 */
export async function rankHits(
  pool: Queryable,
  { ids, contents }: { ids: readonly bigint[]; contents: ReadonlyMap<bigint, string> },
  query: SearchQuery,
): Promise<RankedHit[]> {
  const values: unknown[] = [];
  const bind = (value: unknown) => `$${values.push(value)}`;
  const terms = query.flat().filter(({ isExcluded }) => !isExcluded);
  const scores = terms.flatMap((term) => [scoreOf(term, bind), ...scoreOfAccents(term, bind)]);
  const tokens = ids.map((id) => (contents.has(id) ? printText(contents.get(id) ?? '') : null));
  const { rows } = await pool.query<RankedHit>(
    `select m.id, ${scores.join(' + ') || '0'} as score
    from unnest(${bind(ids)}::bigint[], ${bind(tokens)}::text[]) as hit (id, tokens) join messages m on m.id = hit.id
    left join search_entries s on s.message_id = m.id
    cross join lateral (select coalesce(hit.tokens, s.tokens) as tokens) e
    order by score desc, m.id desc`,
    values,
  );
  return rows;
}

/**
 * Returns a page of ranked hits, plus the next hit if there is one. Each is a cursor key: the score, the id, and the
 * newest id that was ranked for the first page.
 */
export function cutRanked(
  hits: readonly RankedHit[],
  { after, limit, newest }: { after: bigint[] | null; limit: number; newest: bigint },
): bigint[][] {
  const [score = 0n, id = 0n] = after ?? [];
  const isAfter = (hit: RankedHit) => BigInt(hit.score) < score || (BigInt(hit.score) === score && hit.id < id);
  const rest = after === null ? hits : hits.filter(isAfter);
  return rest.slice(0, limit + 1).map((hit) => [BigInt(hit.score), hit.id, newest]);
}

type Bind = (value: unknown) => string;

function scoreOf({ phrases }: Term, bind: Bind): string {
  const [phrase] = phrases;
  if (phrase === undefined || phrase.words.at(-1)?.isRun === true) return '0';
  const whole = printPattern({ ...phrase, isWhole: true });
  // The phrase with 0, 1, 2 … additional characters. An underscore matches any one character.
  const grades = Array.from({ length: maxMissing }, (_, missing) => {
    const pattern = `${whole.slice(0, -2)}${'_'.repeat(missing)} %`;
    return `when e.tokens like ${bind(pattern)} then ${2 * (maxMissing - missing)}`;
  });
  return `case ${grades.join(' ')} else 0 end`;
}

/**
 * Returns an SQL expression that adds one point if a word appears with its accents, in any of the forms in which people
 * write it.
 */
function scoreOfAccents({ phrases }: Term, bind: Bind): string[] {
  const original = phrases[0]?.words.map((word) => word.original ?? '').join(' ') ?? '';
  if (foldCase(original) === phrases[0]?.words.map(({ text }) => text).join(' ')) return [];
  const [first = ''] = original;
  const cases = [
    original,
    original.toLowerCase(),
    original.toUpperCase(),
    first.toUpperCase() + original.slice(first.length).toLowerCase(),
  ];
  const written = cases.flatMap((each) => [each.normalize('NFC'), each.normalize('NFD')]);
  const patterns = [...new Set(written)].map((each) => `%${each.replace(/[\\%_]/g, '\\$&')}%`);
  return [`case when m.content like any (${bind(patterns)}::text[]) then 1 else 0 end`];
}
