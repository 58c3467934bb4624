import type pg from 'pg';
import { inPages, largePageSize, pageSize } from './personal-page.ts';

// All statements here are raw SQL, because Prisma would need more statements to read each page of related rows, and
// cannot compare a key of several columns. Statements that first find all of a user's rows use `materialized`, because
// PostgreSQL might otherwise scan the rows of all users in the order of their ids.

/** The account in the user’s export. */
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
  /** The URL of the picture that another system claims for the user. */
  claimedPicture: string | null;
};

/** Reads the user's profile; null if the account has been erased. */
export async function readProfile(pool: pg.Pool, userId: bigint): Promise<ProfileRow | null> {
  const { rows } = await pool.query<ProfileRow>(
    `select u.username, u.email, u.display_name as "displayName", u.key, u.custom, u.created_at as "createdAt",
      u.server_role as "serverRole", u.avatar_file_id as "avatarFileId",
      exists (select from credentials c where c.user_id = u.id) as "hasPassword", p.last_seen_at as "lastSeenAt",
      coalesce((select json_agg(json_build_object('issuer', i.issuer, 'subject', i.subject) order by i.issuer, i.subject)
        from identities i where i.user_id = u.id), '[]') as identities,
      (select c.url from claimed_pictures c where c.user_id = u.id) as "claimedPicture"
    from users u left join presences p on p.user_id = u.id
    where u.id = $1 and u.deleted_at is null`,
    [userId],
  );
  return rows[0] ?? null;
}

/** A session of the user’s, without its secrets. */
export type SessionRow = {
  id: bigint;
  userAgent: string | null;
  issuer: string | null;
  createdAt: Date;
  lastUsedAt: Date;
};

/** Reads the user's sessions; there are at most 100 (session.ts). */
export async function* readSessions(pool: pg.Pool, userId: bigint): AsyncGenerator<SessionRow[]> {
  const { rows } = await pool.query<SessionRow>(
    `select id, user_agent as "userAgent", issuer, created_at as "createdAt", last_used_at as "lastUsedAt"
    from sessions where user_id = $1 and api_key_id is null and webhook_id is null order by id`,
    [userId],
  );
  yield rows;
}

/** A file that the user uploaded; `size` is in bytes, and `hash` is the SHA-256 hash in hexadecimal. */
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

/** Reads the files that the user has uploaded, without their bytes. */
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

/** A user that the account’s owner has blocked. */
export type BlockRow = { blockedId: bigint; blockedAt: Date };

/** Reads the users that the user has blocked. */
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

/** An invite that the user created; `chatId` is null for an invite to the server. */
export type InviteRow = {
  id: bigint;
  chatId: bigint | null;
  createdAt: Date;
  expiresAt: Date | null;
  usesLeft: number | null;
};

/** Reads the invites that the user has created, without their codes. */
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

/** A ban, mute or suspension of the user; `chatId` is null for a suspension, which applies to the whole server. */
export type RestrictionRow = {
  kind: string;
  chatId: bigint | null;
  until: Date | null;
  reason: string | null;
  createdAt: Date;
};

/**
 * Reads the user's suspension, bans and mutes, without the users who imposed them. Restrictions that have ended are
 * included until they are pruned.
 */
export function readRestrictions(pool: pg.Pool, userId: bigint): AsyncGenerator<RestrictionRow[]> {
  const read = async (after: (RestrictionRow & { id: bigint }) | null) => {
    const { rows } = await pool.query<RestrictionRow & { id: bigint }>(
      `with own as materialized (
        select id, kind, chat_id, until, reason, created_at from restrictions where user_id = $1 and id > $2
      )
      select id, kind, chat_id as "chatId", until, reason, created_at as "createdAt" from own order by id limit $3`,
      [userId, after?.id ?? 0n, pageSize],
    );
    return rows;
  };
  return inPages({ size: pageSize, read });
}

/** A report that the user made. */
export type ReportRow = {
  id: bigint;
  messageId: bigint | null;
  reason: string;
  comment: string | null;
  createdAt: Date;
  resolvedAt: Date | null;
};

/**
 * Reads the reports that the user has made, as the user sees them: without what others wrote, and without the decision.
 */
export function readReports(pool: pg.Pool, userId: bigint): AsyncGenerator<ReportRow[]> {
  const read = async (after: ReportRow | null) => {
    const { rows } = await pool.query<ReportRow>(
      `with own as materialized (
        select id, message_id, reason, comment, created_at, resolved_at from reports where reporter_id = $1 and id > $2
      )
      select id, message_id as "messageId", reason, comment, created_at as "createdAt", resolved_at as "resolvedAt"
      from own order by id limit $3`,
      [userId, after?.id ?? 0n, pageSize],
    );
    return rows;
  };
  return inPages({ size: pageSize, read });
}

/** A network or device that the user signed in from, as a hash. */
export type SignInPlaceRow = { kind: 'NETWORK' | 'DEVICE'; hash: string; usedAt: Date };

/** Reads where the user has signed in from, as far as the server has kept a record. There are only hashes. */
export function readSignInPlaces(pool: pg.Pool, userId: bigint): AsyncGenerator<SignInPlaceRow[]> {
  const read = async (after: SignInPlaceRow | null) => {
    const { rows } = await pool.query<SignInPlaceRow>(
      `with own as materialized (
        select 'NETWORK' as kind, encode(network_hash, 'hex') as hash, used_at from known_networks where user_id = $1
        union all
        select 'DEVICE', encode(device_hash, 'hex'), used_at from known_devices where user_id = $1
      )
      select kind, hash, used_at as "usedAt" from own where (kind, hash) > ($2, $3) order by kind, hash limit $4`,
      [userId, after?.kind ?? '', after?.hash ?? '', largePageSize],
    );
    return rows;
  };
  return inPages({ size: largePageSize, read });
}
