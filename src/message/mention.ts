import type { Db, Queryable } from '../postgres/client.ts';
import { defineLoader } from '../postgres/loader.ts';
import { pairMany, pairOne } from '../postgres/pairing.ts';
import { memberKeyOf, type MemberKey } from '../chat/member.ts';
import { messageKeyOf, type MessageKey } from './message-loader.ts';
import { visibleFrom } from '../chat/visibility.ts';
import { readProse } from './prose.ts';
import type { Asker } from '../core/asker.ts';
import { may, type ChatAccess } from '../chat/permission.ts';
import { unnest } from '../postgres/unnest.ts';

/** The maximum number of names in a message that are looked up; further names are ignored. */
export const maxMentions = 50;
/** The maximum number of unread mentions that are counted. */
const maxUnreadMentions = 1_000;
const maxUsernameLength = 64;
/**
 * How many readings of a mention are tried: @ada.Look means ada.look if ada.look is a member of the chat, and otherwise
 * ada.
 */
const maxReadings = 4;

/** The letters and marks of scripts that write names without spaces around them, and the marks of emoji. */
const neighbour = String.raw`[\p{sc=Han}\p{sc=Hira}\p{sc=Kana}\p{sc=Hang}\p{sc=Thai}\p{sc=Laoo}\p{sc=Khmr}\p{sc=Mymr}\u30fc\u3099\u309a\u20e3\ufe0e\ufe0f]`;
const letter = String.raw`(?:(?!${neighbour})[\p{L}\p{N}\p{M}])`;
/**
 * Matches `@` and a name. An email address (ada@example.com) does not mention anyone. Therefore, the `@` of a mention
 * does not follow a letter or another character of an address, except a letter of a script that is written without
 * spaces. Underscores may be Markdown emphasis.
 */
const mention = new RegExp(
  String.raw`(?<!${letter}|[@._-])(?<emphasis>_*)@(?<name>[A-Za-z0-9_][A-Za-z0-9_.-]*)(?!${letter})`,
  'gu',
);
const endOfEmphasis = new RegExp(String.raw`[^\s_]_+(?!${letter}|_)`, 'gu');

/** The usernames that a text may mention: for each mention, its possible readings in lower case, longest first. */
export type Named = { names: string[][]; everyone: boolean };

/**
 * Finds the names in a message, ignoring code, quotes and addresses. Takes time that is linear in the message's length.
 * Which of the readings are usernames depends on the members of the chat.
 */
export function findNames(content: string): Named {
  const text = content.replace(/[\uff10-\uff19\uff20-\uff3a\uff3f\uff41-\uff5a]/g, toAscii).replaceAll('\ufe6b', '@');
  if (!text.includes('@')) return { names: [], everyone: false };
  const words = new Set(listWords(readProse(text)));
  const readings = [...words].slice(0, maxMentions).map(readingsOf);
  const everyone = readings.some((names) => names.includes('everyone'));
  return { names: readings.map((names) => names.filter((name) => name !== 'everyone')), everyone };
}

function listWords(prose: string): string[] {
  const lastEnd = [...prose.matchAll(endOfEmphasis)].at(-1)?.index ?? -1;
  return [...prose.matchAll(mention)].flatMap(({ index, groups }) => {
    const isWord = groups?.['emphasis'] === '' || index < lastEnd;
    return isWord ? [groups?.['name']?.toLowerCase() ?? ''] : [];
  });
}

/** Converts a full-width letter, digit or sign to its ASCII form. */
function toAscii(character: string): string {
  return String.fromCodePoint((character.codePointAt(0) ?? 0) - 0xfee0);
}

/**
 * Whether the text mentions everyone, that is, whether it contains `@everyone` and this access allows the asker to use
 * it.
 */
export function callsEveryone(
  { asker, content }: { asker: Asker; content: string },
  access: ChatAccess | undefined,
): boolean {
  return access !== undefined && may(asker, 'mentionEveryone', access) && findNames(content).everyone;
}

/** Records which members of the chats these messages mention; does nothing if no text contains an `@`. */
export async function insertMentions(
  client: Queryable,
  messages: readonly (MessageKey & { content: string })[],
): Promise<void> {
  const readings = messages.flatMap(({ chatId, seq, content }) =>
    findNames(content).names.flatMap((names, index) => names.map((name) => ({ chatId, seq, index, name }))),
  );
  if (readings.length === 0) return;
  await client.query({
    name: 'insert_mentions',
    text: `insert into mentions (chat_id, seq, user_id)
    select distinct on (w.chat_id, w.seq, w.index) w.chat_id, w.seq, u.id
    from ${unnest('$1::bigint[]', '$2::int[]', '$3::int[]', '$4::text[]')} with ordinality as w (chat_id, seq, index, name, rank)
    join users u on fold(u.username) = w.name and u.deleted_at is null
    join members m on m.chat_id = w.chat_id and m.user_id = u.id
    order by w.chat_id, w.seq, w.index, w.rank
    on conflict do nothing`,
    values: [
      readings.map(({ chatId }) => chatId),
      readings.map(({ seq }) => seq),
      readings.map(({ index }) => index),
      readings.map(({ name }) => name),
    ],
  });
}

/** Deletes the mentions of messages whose text has changed, and records the new mentions. */
export async function replaceMentions(
  client: Queryable,
  messages: readonly (MessageKey & { content: string })[],
): Promise<void> {
  await client.query({
    name: 'delete_mentions',
    text: `delete from mentions n using ${unnest('$1::bigint[]', '$2::int[]')} as w (chat_id, seq)
    where n.chat_id = w.chat_id and n.seq = w.seq`,
    values: [messages.map(({ chatId }) => chatId), messages.map(({ seq }) => seq)],
  });
  await insertMentions(client, messages);
}

/** Loads the ids of the users that a message mentions, in ascending order. */
export const mentionedIn = defineLoader({ load: listMentioned, keyOf: messageKeyOf });

/** Raw SQL, which costs half as much as Prisma: events and pages run this, for many messages in one statement. */
async function listMentioned(db: Db, places: readonly MessageKey[]): Promise<bigint[][]> {
  const { rows } = await db.pool.query<{ index: number; userId: bigint }>({
    name: 'mentioned',
    text: `select w.index::int as index, n.user_id as "userId"
    from ${unnest('$1::bigint[]', '$2::int[]')} with ordinality as w (chat_id, seq, index)
    join mentions n using (chat_id, seq)
    join users u on u.id = n.user_id and u.deleted_at is null
    order by w.index, n.user_id`,
    values: [places.map(({ chatId }) => chatId), places.map(({ seq }) => seq)],
  });
  return pairMany(rows, places, ({ userId }) => userId);
}

/**
 * The seqs of the messages in chat `c` that mention its member `m` or everyone, and that `m` can see and has not read.
 * This is an SQL fragment that begins with `from`, for a statement that joins `c` and `m`. The member's own messages do
 * not count, and neither do deleted messages, which mention no one. Each half of the union has its own limit, because
 * otherwise the union would read all unread mentions.
 */
export const unreadMentions = `from (select ${visibleFrom('c', 'm.user_id')} as seq offset 0) first_visible
  cross join lateral (
    (select n.seq from mentions n join messages named using (chat_id, seq)
    where n.user_id = m.user_id and n.chat_id = m.chat_id
      and n.seq > m.last_read_seq and n.seq >= first_visible.seq
      and named.sender_id is distinct from m.user_id
    limit ${maxUnreadMentions})
    union
    (select called.seq from messages called
    where called.chat_id = m.chat_id and called.mentions_everyone
      and called.seq > m.last_read_seq and called.seq >= first_visible.seq
      and called.sender_id is distinct from m.user_id
    limit ${maxUnreadMentions})
  ) unread_mention`;

/** An SQL expression of type int: the number of these unread messages, up to `maxUnreadMentions`. */
export const unreadMentionCount = `(select least(count(*), ${maxUnreadMentions})::int ${unreadMentions})`;

/**
 * Loads the number of unread messages that mention the user of each membership, up to 1,000; 0 if the user is not a
 * member.
 */
export const unreadMentionCountOf = defineLoader({
  load: countUnreadMentions,
  keyOf: memberKeyOf,
});

/**
 * Raw SQL, at half the cost of Prisma, because every chat list that is opened runs this, and because the count stops at
 * its limit.
 */
async function countUnreadMentions(db: Db, members: readonly MemberKey[]): Promise<number[]> {
  const { rows } = await db.pool.query<{ index: number; count: number }>({
    name: 'unread_mentions',
    text: `select place.index::int as index, ${unreadMentionCount} as count
    from ${unnest('$1::bigint[]', '$2::bigint[]')} with ordinality as place (chat_id, user_id, index)
    join members m using (chat_id, user_id)
    join chats c on c.id = m.chat_id`,
    values: [members.map(({ chatId }) => chatId), members.map(({ userId }) => userId)],
  });
  return pairOne(rows, members, { value: ({ count }) => count, missing: 0 });
}

function readingsOf(word: string): string[] {
  const readings: string[] = [];
  // The word is first cut to the length of the longest possible name, so that a long word costs no more than a name.
  const first = word.length > maxUsernameLength ? cutOff(word.slice(0, maxUsernameLength + 1)) : trimEnd(word);
  for (let name = first; name !== '' && readings.length < maxReadings; name = cutOff(name)) {
    readings.push(name);
    // The underscores at the end of a name may be Markdown emphasis.
    const plain = trimEnd(name.replace(/_+$/, ''));
    if (plain !== '' && plain !== name) readings.push(plain);
  }
  return readings;
}

/** Removes trailing dots and dashes, which end a sentence, not a name. */
function trimEnd(word: string): string {
  return word.replace(/[.-]+$/, '');
}

function cutOff(name: string): string {
  return trimEnd(name.slice(0, Math.max(name.lastIndexOf('.'), name.lastIndexOf('-'), 0)));
}
