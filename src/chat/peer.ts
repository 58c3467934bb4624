import type { Asker } from '../core/asker.ts';
import type { Db } from '../postgres/client.ts';
import { defineLoader } from '../postgres/loader.ts';
import { pairOne } from '../postgres/pairing.ts';
import { unnest } from '../postgres/unnest.ts';

/** The two users in a single chat, in the order of their ids. */
type Pair = { low: bigint; high: bigint };

/**
 * Loads the two users in each single chat. The result is null once the account of either user is erased, and for other
 * kinds of chats.
 */
export const pairOf = defineLoader({ load: loadPairs });

/** Returns the other person in the pair from the asker's point of view, or null if the asker is not in the pair. */
export function otherOf({ low, high }: Pair, { userId }: Asker): bigint | null {
  if (userId === low) return high;
  return userId === high ? low : null;
}

/** Raw SQL, which costs half as much as Prisma, because this runs whenever a chat list is opened. */
async function loadPairs({ pool }: Db, chatIds: readonly bigint[]): Promise<(Pair | null)[]> {
  const { rows } = await pool.query<Pair & { index: number }>({
    name: 'pairs',
    text: `select w.index::int as index, s.low_user_id as low, s.high_user_id as high
    from ${unnest('$1::bigint[]')} with ordinality as w (chat_id, index) join single_chats s using (chat_id)`,
    values: [chatIds],
  });
  return pairOne(rows, chatIds, { value: (row): Pair => row, missing: null });
}

/**
 * Returns an SQL condition that holds if the other person in the single chat `chat` (an alias of chats) has been erased
 * and the chat is not a user's chat with themselves. Evaluating the condition takes time only for chats with one
 * member.
 */
export function isPeerErased(chat: string): string {
  return `case when ${chat}.type = 'SINGLE' and ${chat}.member_count = 1 then not exists (
    select from single_chats own where own.chat_id = ${chat}.id and own.low_user_id = own.high_user_id) else false end`;
}
