import type { Queryable } from '../postgres/client.ts';
import type { Chat, Message } from '../postgres/generated/prisma/client.ts';
import { joined } from '../postgres/columns.ts';
import { visibleChatIds, visibleFrom } from '../chat/visibility.ts';
import { InvalidInput } from '../errors.ts';
import { toPage, type Page, type PageRequest } from '../postgres/page.ts';
import { countWords, cutLongWords, quoteBeginning, readSearch, type SearchQuery } from './search-query.ts';
import type { SearchTurns } from './search-turn.ts';
import type { Asker } from '../core/asker.ts';

/** In characters: a search of this length fits into a PostgreSQL word, and no real search is longer. */
export const maxSearchLength = 500;
/** Each word of a search, and each word of a phrase, is looked up and compared separately. */
export const maxSearchWords = 32;
/**
 * For an asker who can see more chats than this, the index is searched in full: hardly anything is hidden from them.
 */
const maxNamedChats = 1_000;

/** Which messages to search; null and false mean no restriction. Times are exclusive. */
export type SearchFilter = {
  chatId: bigint | null;
  senderId: bigint | null;
  sentAfter: Date | null;
  sentBefore: Date | null;
  hasFile: boolean;
};

/** A message, with its chat read in the same statement. */
export type FoundMessage = { message: Message; chat: Chat };

const parts = { message: joined.message('m'), chat: joined.chat('c') };

// This folds ASCII letters, as messages.words does: the dictionary folds by the database's locale, and a Turkish one
// turns 'I' into 'ı'.
// Not a prepared statement: a common word needs a different plan from a rare one.
const query = `(websearch_to_tsquery('simple', lower($1 collate "C"))
  || (websearch_to_tsquery('simple', lower($2 collate "C")) && to_tsquery('simple', lower($3 collate "C"))))`;

/**
 * The matching messages that the asker can read, newest first; a cursor's key is the message's id. `readSearch` defines
 * the syntax; a search without any word finds nothing. Throws InvalidInput for more than `maxSearchLength` characters
 * or `maxSearchWords` words, and for a search that takes too long; RateLimited when too many wait.
 */
export async function searchMessages(
  turns: SearchTurns,
  asker: Asker,
  { text, filter, page }: { text: string; filter: SearchFilter; page: PageRequest },
): Promise<Page<FoundMessage>> {
  if (text.length > maxSearchLength * 2 || [...text].length > maxSearchLength) {
    throw new InvalidInput([
      { path: ['query'], code: 'TOO_LONG', message: `must be at most ${maxSearchLength} characters long` },
    ]);
  }
  const words = cutLongWords(text.toWellFormed().replaceAll('\0', ' ')).trim();
  const wordCount = countWords(words);
  if (wordCount > maxSearchWords) {
    throw new InvalidInput([
      {
        path: ['query'],
        code: 'TOO_MANY',
        message: `must have at most ${maxSearchWords} words, and has ${wordCount}`,
      },
    ]);
  }
  const search = readSearch(words);
  const rows = await turns.run(asker, 'query', (pool) => findMessages(pool, asker, { search, filter, page }));
  return toPage(rows.flatMap(takeFound), page);
}

async function findMessages(
  pool: Queryable,
  asker: Asker,
  { search, filter, page }: { search: SearchQuery; filter: SearchFilter; page: PageRequest },
): Promise<Record<string, unknown>[]> {
  const chats = filter.chatId === null ? await listChatsToSearch(pool, asker) : [filter.chatId];
  // Finds the messages, with their chats. Raw SQL: Prisma cannot express the text search and the index on it.
  const { rows } = await pool.query<Record<string, unknown>>(
    `select ${parts.message.columns}, ${parts.chat.columns}
    from messages m join chats c on c.id = m.chat_id
    where numnode(${query}) > 0
      and m.words @@ ${chats === null ? query : `(${query} && $4::tsquery)`}
      and m.seq >= ${visibleFrom('c', '$5')}
      and ($6::bigint is null or m.chat_id = $6)
      and ($7::bigint is null or m.sender_id = $7)
      and ($8::timestamptz is null or m.created_at > $8)
      and ($9::timestamptz is null or m.created_at < $9)
      and (not $10 or exists (select from files f where f.message_id = m.id))
      and ($11::bigint is null or m.id < $11)
      ${chats === null ? 'and $4::text is null' : ''}
    order by m.id desc limit $12`,
    [
      search.alternatives,
      search.words,
      quoteBeginning(search.beginning),
      chats === null ? null : nameChats(chats),
      asker.userId,
      filter.chatId,
      filter.senderId,
      filter.sentAfter,
      filter.sentBefore,
      filter.hasFile,
      page.after?.[0] ?? null,
      page.limit + 1,
    ],
  );
  return rows;
}

function takeFound(row: Record<string, unknown>): FoundMessage[] {
  const message = parts.message.take(row);
  const chat = parts.chat.take(row);
  return message === null || chat === null ? [] : [{ message, chat }];
}

/**
 * The chats that the asker can see, to narrow down the search in the index; null if there are more than
 * `maxNamedChats`. Raw SQL: the rule of visibility that the search itself applies.
 */
async function listChatsToSearch(pool: Queryable, asker: Asker): Promise<bigint[] | null> {
  const { rows } = await pool.query<{ id: bigint }>({
    name: 'chats_to_search',
    text: `select id from (${visibleChatIds('$1')}) visible (id) limit $2`,
    values: [asker.userId, maxNamedChats + 1],
  });
  return rows.length > maxNamedChats ? null : rows.map(({ id }) => id);
}

/**
 * A query for the words that stand for these chats in the index: each message is indexed with its chat's word, see
 * messages.words.
 */
function nameChats(chatIds: readonly bigint[]): string {
  return chatIds.map((id) => `' ${id}'`).join(' | ');
}
