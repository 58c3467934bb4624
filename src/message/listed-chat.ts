import { chatById } from '../chat/chat.ts';
import { memberByKey } from '../chat/member.ts';
import { otherOf, pairOf } from '../chat/peer.ts';
import { unreadCount, unreadCountOf } from '../chat/unread.ts';
import { isVisiblePerson, visibleFrom, visibleFromOf } from '../chat/visibility.ts';
import type { Asker } from '../core/asker.ts';
import { userById } from '../people/user.ts';
import type { Db } from '../postgres/client.ts';
import { columns, joined, nested } from '../postgres/columns.ts';
import type { Chat, ChatType } from '../postgres/generated/prisma/client.ts';
import type { Loaders } from '../postgres/loader.ts';
import { toPage, type Page, type PageRequest } from '../postgres/page.ts';
import { unreadMentionCount, unreadMentionCountOf } from './mention.ts';
import { messageByKey } from './message-loader.ts';

/** The data that a list can read about each chat in the same statement. The fields of the API have the same names. */
export const companions = ['lastMessage', 'peer', 'unreadCount', 'unreadMentionCount'] as const;
/** One of them. */
export type Companion = (typeof companions)[number];

const message = joined.message('l');
const member = joined.member('m');
const sender = nested.user('s');
const peer = nested.user('p');

/** A row of the list, with the columns of the requested companions. */
type ListedRow = Chat & Record<string, unknown>;

/** The columns and tables that each companion adds to the statement. */
const parts: Record<Companion, { columns: string; from: string }> = {
  lastMessage: {
    columns: `${message.columns}, ${sender.columnWhen('s.id is not null')} as sender`,
    from: `left join messages l on (l.chat_id, l.seq) = (c.id, c.last_seq)
      left join users s on s.id = l.sender_id and ${isVisiblePerson('s')}`,
  },
  peer: {
    columns: `o.low_user_id as low, o.high_user_id as high, ${peer.columnWhen('p.id is not null')} as peer`,
    from: `left join single_chats o on o.chat_id = c.id and c.type = 'SINGLE'
      left join users p on p.id = case m.user_id when o.low_user_id then o.high_user_id else o.low_user_id end
        and ${isVisiblePerson('p')}`,
  },
  unreadCount: { columns: `${unreadCount} as unread`, from: '' },
  unreadMentionCount: { columns: `${unreadMentionCount} as mentioned`, from: '' },
};

/**
 * Returns the asker's chats, newest activity first; the key of a cursor is (time of the last activity in ms, id). The
 * same statement also reads the asker's memberships and the requested companions, and gives them to the loaders. Every
 * client reads this list when it starts, and these reads accounted for two thirds of the time when each of them was a
 * separate statement.
 */
export async function listChats(
  { db, loaders }: { db: Db; loaders: Loaders },
  asker: Asker,
  { type, page, wanted }: { type: ChatType | null; page: PageRequest; wanted: ReadonlySet<Companion> },
): Promise<Page<Chat>> {
  const direction = page.isBackward ? 'asc' : 'desc';
  const at = (parameter: string) => `timestamptz 'epoch' + ${parameter}::bigint * interval '1 millisecond'`;
  const chosen = companions.filter((companion) => wanted.has(companion));
  const { rows } = await db.pool.query<ListedRow>({
    name: ['chats', direction, ...chosen].join('_'),
    text: `select ${columns.chat('c')}, ${member.columns}, ${visibleFrom('c', 'm.user_id')} as "visibleFrom"
      ${chosen.map((companion) => `, ${parts[companion].columns}`).join('')}
    from (
      select m.* from members m join chats c on c.id = m.chat_id
      where m.user_id = $1
        and ($2::chat_type is null or c.type = $2)
        and ($3::bigint is null or (c.last_activity_at, c.id) < (${at('$3')}, $4::bigint))
        and ($5::bigint is null or (c.last_activity_at, c.id) > (${at('$5')}, $6::bigint))
      order by c.last_activity_at ${direction}, c.id ${direction}
      limit $7
    ) m
    join chats c on c.id = m.chat_id
    ${chosen.map((companion) => parts[companion].from).join(' ')}
    order by c.last_activity_at ${direction}, c.id ${direction}`,
    values: [asker.userId, type, ...keyOrNulls(page.after), ...keyOrNulls(page.before), page.limit + 1],
  });
  for (const row of rows) {
    primeChat(loaders, asker, row);
    for (const companion of chosen) primeWith[companion](loaders, asker, row);
  }
  return toPage<Chat>(rows, page);
}

/** Returns the key of a chat's cursor in `listChats`. */
export function activityKey(chat: Chat): [number, bigint] {
  return [chat.lastActivityAt.getTime(), chat.id];
}

type PrimeWith = (loaders: Loaders, asker: Asker, row: ListedRow) => void;

const primeChat: PrimeWith = (loaders, asker, row) => {
  const key = { chatId: row.id, userId: asker.userId };
  loaders.of(chatById).prime(row.id, row);
  loaders.of(memberByKey).prime(key, member.take(row));
  loaders.of(visibleFromOf).prime({ chatId: row.id, asker }, row['visibleFrom'] as number | null);
};

const primeWith: Record<Companion, PrimeWith> = {
  lastMessage: (loaders, _, row) => {
    const found = message.take(row);
    if (found === null) return;
    loaders.of(messageByKey).prime({ chatId: row.id, seq: found.seq }, found);
    if (found.senderId !== null) loaders.of(userById).prime(found.senderId, sender.take(row['sender']));
  },
  peer: (loaders, asker, row) => {
    const low = row['low'] as bigint | null;
    const high = row['high'] as bigint | null;
    const pair = low === null || high === null ? null : { low, high };
    loaders.of(pairOf).prime(row.id, pair);
    const other = pair && otherOf(pair, asker);
    if (other !== null) loaders.of(userById).prime(other, peer.take(row['peer']));
  },
  unreadCount: (loaders, { userId }, row) =>
    void loaders.of(unreadCountOf).prime({ chatId: row.id, userId }, row['unread'] as number),
  unreadMentionCount: (loaders, { userId }, row) =>
    void loaders.of(unreadMentionCountOf).prime({ chatId: row.id, userId }, row['mentioned'] as number),
};

function keyOrNulls(key: bigint[] | null): [bigint | null, bigint | null] {
  return [key?.[0] ?? null, key?.[1] ?? null];
}
