import type pg from 'pg';

/** How many rows one statement reads: with texts of 10,000 characters, these are a few megabytes. */
const pageSize = 100;
/** How many ids, or rows that are as small, one statement reads. */
const largePageSize = 5_000;

/** What one statement reads: the rows of a user after a position, in its order. `null`: from the beginning. */
type Reading<Row> = { size: number; read: (after: Row | null) => Promise<Row[]> };

/**
 * Reads rows page by page, each with a statement of its own, so that no connection is held while the reader of an export
 * is slow.
 */
async function* inPages<Row>({ size, read }: Reading<Row>): AsyncGenerator<Row[]> {
  for (let after: Row | null = null; ;) {
    const rows: Row[] = await read(after);
    if (rows.length > 0) yield rows;
    after = rows.at(-1) ?? null;
    if (rows.length < size) return;
  }
}

// All statements here are raw SQL: Prisma would read each page of related rows with more statements, and cannot compare
// a key of several columns. Those that first find all of a user's rows say `materialized`, because PostgreSQL might
// otherwise walk through everyone's rows in the order of their ids.

export type ProfileRow = {
  username: string;
  email: string | null;
  displayName: string | null;
  key: string | null;
  custom: unknown;
  createdAt: Date;
  serverRole: string;
  avatarFileId: bigint | null;
  hasPassword: boolean;
  lastSeenAt: Date | null;
  identities: { issuer: string; subject: string }[];
};

/** The user's profile; null once the account is erased. */
export async function readProfile(pool: pg.Pool, userId: bigint): Promise<ProfileRow | null> {
  const { rows } = await pool.query<ProfileRow>(
    `select u.username, u.email, u.display_name as "displayName", u.key, u.custom, u.created_at as "createdAt",
      u.server_role as "serverRole", u.avatar_file_id as "avatarFileId",
      exists (select from credentials c where c.user_id = u.id) as "hasPassword", p.last_seen_at as "lastSeenAt",
      coalesce((select json_agg(json_build_object('issuer', i.issuer, 'subject', i.subject) order by i.issuer, i.subject)
        from identities i where i.user_id = u.id), '[]') as identities
    from users u left join presences p on p.user_id = u.id
    where u.id = $1 and u.deleted_at is null`,
    [userId],
  );
  return rows[0] ?? null;
}

export type SessionRow = {
  id: bigint;
  userAgent: string | null;
  issuer: string | null;
  createdAt: Date;
  lastUsedAt: Date;
};

/** The user's sessions; there are at most 100 (session.ts). */
export async function* readSessions(pool: pg.Pool, userId: bigint): AsyncGenerator<SessionRow[]> {
  const { rows } = await pool.query<SessionRow>(
    `select id, user_agent as "userAgent", issuer, created_at as "createdAt", last_used_at as "lastUsedAt"
    from sessions where user_id = $1 and webhook_id is null order by id`,
    [userId],
  );
  yield rows;
}

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

/** How many other members of a chat an export names. */
const maxNamedMembers = 100;

/** The chats that the user is a member of, with the names of up to `maxNamedMembers` other members. */
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

/** The ids of the user's messages, in pages of `pageSize`; with `onlyEdited`, of those that have been edited. */
async function* readMessageIds(
  pool: pg.Pool,
  userId: bigint,
  { onlyEdited }: { onlyEdited: boolean },
): AsyncGenerator<bigint[]> {
  // No index has a sender's messages in order, because every send would pay for it: each statement finds all of them.
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
  /** Decimal numbers, as are `fileIds`. */
  mentionedIds: string[];
  fileIds: string[];
};

/** The user's messages, also in chats that they have left. */
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

export type EditRow = { messageId: bigint; version: number; content: string; createdAt: Date };

/** What the user's messages said before each of their edits. */
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

export type ReactionRow = {
  messageId: bigint;
  chatId: bigint;
  seq: number;
  emoji: string;
  createdAt: Date;
};

/** The user's reactions, to whatever messages. */
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

export type FileRow = {
  id: bigint;
  name: string;
  contentType: string;
  size: number;
  hash: string;
  isInline: boolean;
  createdAt: Date;
  messageId: bigint | null;
  isAvatar: boolean;
};

/** The files that the user has uploaded, without their bytes. */
export function readFiles(pool: pg.Pool, userId: bigint): AsyncGenerator<FileRow[]> {
  const read = async (after: FileRow | null) => {
    const { rows } = await pool.query<FileRow>(
      `with own as materialized (
        select id, name, blob_hash, created_at, message_id, is_avatar from files where uploader_id = $1 and id > $2
      ), few as materialized (
        select * from own order by id limit $3
      )
      select few.id, few.name, b.content_type as "contentType", b.size::int as size, encode(b.hash, 'hex') as hash,
        b.bytes is not null as "isInline", few.created_at as "createdAt", few.message_id as "messageId",
        few.is_avatar as "isAvatar"
      from few join blobs b on b.hash = few.blob_hash order by few.id`,
      [userId, after?.id ?? 0n, largePageSize],
    );
    return rows;
  };
  return inPages({ size: largePageSize, read });
}

export type BlockRow = { blockedId: bigint; blockedAt: Date };

/** The users that the user has blocked. */
export function readBlocks(pool: pg.Pool, userId: bigint): AsyncGenerator<BlockRow[]> {
  const read = async (after: BlockRow | null) => {
    const { rows } = await pool.query<BlockRow>(
      `select blocked_id as "blockedId", blocked_at as "blockedAt" from blocks
      where blocker_id = $1 and blocked_id > $2 order by blocked_id limit $3`,
      [userId, after?.blockedId ?? 0n, largePageSize],
    );
    return rows;
  };
  return inPages({ size: largePageSize, read });
}

export type InviteRow = {
  id: bigint;
  chatId: bigint | null;
  createdAt: Date;
  expiresAt: Date | null;
  usesLeft: number | null;
};

/** The invites that the user has created, without their codes. */
export function readInvites(pool: pg.Pool, userId: bigint): AsyncGenerator<InviteRow[]> {
  const read = async (after: InviteRow | null) => {
    const { rows } = await pool.query<InviteRow>(
      `with own as materialized (
        select id, chat_id, created_at, expires_at, uses_left from invites where created_by_id = $1 and id > $2
      )
      select id, chat_id as "chatId", created_at as "createdAt", expires_at as "expiresAt", uses_left as "usesLeft"
      from own order by id limit $3`,
      [userId, after?.id ?? 0n, largePageSize],
    );
    return rows;
  };
  return inPages({ size: largePageSize, read });
}
