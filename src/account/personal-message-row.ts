import type pg from 'pg';
import { inPages, largePageSize, pageSize } from './personal-page.ts';

// As in personal-row.ts, all statements here are raw SQL.

/** A chat in the user's export, with the user's settings and role in that chat. */
export type MembershipRow = {
  chatId: bigint;
  type: string;
  name: string | null;
  role: string;
  joinedAt: Date;
  notificationLevel: string;
  lastReadSeq: number;
  memberCount: number;
  others: { username: string; displayName: string | null }[];
};

/** How many other members of each chat an export names. */
const maxNamedMembers = 100;

/** Reads the chats that the user is a member of, with the names of up to `maxNamedMembers` other members. */
export function readMemberships(pool: pg.Pool, userId: bigint): AsyncGenerator<MembershipRow[]> {
  const read = async (after: MembershipRow | null) => {
    const { rows } = await pool.query<MembershipRow>(
      `with few as materialized (
        select * from members where user_id = $1 and chat_id > $2 order by chat_id limit $3
      )
      select few.chat_id as "chatId", c.type, c.name, few.role, few.joined_at as "joinedAt",
        few.notification_level as "notificationLevel", few.last_read_seq as "lastReadSeq",
        c.member_count as "memberCount", coalesce(others.names, '[]') as others
      from few join chats c on c.id = few.chat_id
      cross join lateral (
        select json_agg(json_build_object('username', named.username, 'displayName', named.display_name)) as names
        from (
          select u.username, u.display_name from members m join users u on u.id = m.user_id
          where m.chat_id = few.chat_id and m.user_id <> $1 and u.deleted_at is null
          order by m.user_id limit $4
        ) named
      ) others
      order by few.chat_id`,
      [userId, after?.chatId ?? 0n, pageSize, maxNamedMembers],
    );
    return rows;
  };
  return inPages({ size: pageSize, read });
}

/**
 * Reads the ids of the user's messages, in pages of `pageSize`; with `onlyEdited`, only those of messages that have
 * been edited.
 */
async function* readMessageIds(
  pool: pg.Pool,
  userId: bigint,
  { onlyEdited }: { onlyEdited: boolean },
): AsyncGenerator<bigint[]> {
  // No index sorts the messages of a sender, because it would slow down every send. Each statement therefore finds all
  // of the user's messages.
  const read = async (after: { id: bigint } | null) => {
    const { rows } = await pool.query<{ id: bigint }>(
      `with own as materialized (
        select id from messages where sender_id = $1 and id > $2 and (not $3 or edited_at is not null)
      )
      select id from own order by id limit $4`,
      [userId, after?.id ?? 0n, onlyEdited, largePageSize],
    );
    return rows;
  };
  for await (const page of inPages({ size: largePageSize, read })) {
    for (let start = 0; start < page.length; start += pageSize) {
      yield page.slice(start, start + pageSize).map(({ id }) => id);
    }
  }
}

/** A message in the export of the user who sent it. */
export type MessageRow = {
  id: bigint;
  chatId: bigint;
  kind: string;
  content: string | null;
  custom: unknown;
  replyToId: bigint | null;
  mentionsEveryone: boolean;
  createdAt: Date;
  editedAt: Date | null;
  deletedAt: Date | null;
  /** Ids as decimal numbers, like `fileIds`. */
  mentionedIds: string[];
  fileIds: string[];
};

/** Reads the user's messages, including those in chats that they have left. */
export async function* readMessages(pool: pg.Pool, userId: bigint): AsyncGenerator<MessageRow[]> {
  for await (const ids of readMessageIds(pool, userId, { onlyEdited: false })) {
    const { rows } = await pool.query<MessageRow>(
      `select m.id, m.chat_id as "chatId", m.kind, m.content, m.custom, parent.id as "replyToId",
        m.mentions_everyone as "mentionsEveryone", m.created_at as "createdAt", m.edited_at as "editedAt",
        m.deleted_at as "deletedAt",
        array(select n.user_id::text from mentions n where n.chat_id = m.chat_id and n.seq = m.seq order by n.user_id)
          as "mentionedIds",
        array(select f.id::text from files f where f.message_id = m.id order by f.place) as "fileIds"
      from messages m left join messages parent on parent.chat_id = m.chat_id and parent.seq = m.reply_to_seq
      where m.id = any ($1) and m.sender_id = $2 order by m.id`,
      [ids, userId],
    );
    yield rows;
  }
}

/** The content of one of the user’s messages before an edit. `version` counts from 1 for each message. */
export type EditRow = { messageId: bigint; version: number; content: string; createdAt: Date };

/** Reads the content of the user's messages before each of their edits. */
export async function* readEdits(pool: pg.Pool, userId: bigint): AsyncGenerator<EditRow[]> {
  for await (const ids of readMessageIds(pool, userId, { onlyEdited: true })) {
    const read = async (after: EditRow | null) => {
      const { rows } = await pool.query<EditRow>(
        `select m.id as "messageId", v.version, v.content, v.created_at as "createdAt"
        from messages m join message_revisions v using (chat_id, seq)
        where m.id = any ($1) and m.sender_id = $2 and (m.id, v.version) > ($3::bigint, $4::int)
        order by m.id, v.version limit $5`,
        [ids, userId, after?.messageId ?? 0n, after?.version ?? 0, pageSize],
      );
      return rows;
    };
    yield* inPages({ size: pageSize, read });
  }
}

/** A reaction of the user’s, with the position of its message in the chat. */
export type ReactionRow = {
  messageId: bigint;
  chatId: bigint;
  seq: number;
  emoji: string;
  createdAt: Date;
};

/** Reads the user's reactions to all messages. */
export function readReactions(pool: pg.Pool, userId: bigint): AsyncGenerator<ReactionRow[]> {
  const read = async (after: ReactionRow | null) => {
    const { rows } = await pool.query<ReactionRow>(
      `with own as materialized (
        select chat_id, seq, emoji, created_at from reactions
        where user_id = $1 and (chat_id, seq, emoji) > ($2::bigint, $3::int, $4::text)
      ), few as materialized (
        select * from own order by chat_id, seq, emoji limit $5
      )
      select m.id as "messageId", few.chat_id as "chatId", few.seq, few.emoji, few.created_at as "createdAt"
      from few join messages m using (chat_id, seq) order by few.chat_id, few.seq, few.emoji`,
      [userId, after?.chatId ?? 0n, after?.seq ?? 0, after?.emoji ?? '', largePageSize],
    );
    return rows;
  };
  return inPages({ size: largePageSize, read });
}
