import type { Asker } from '../core/asker.ts';
import { effectiveRole } from '../core/server-role.ts';
import { createSecret, hashSecret } from '../core/secret.ts';
import { Forbidden, InvalidInput, NotFound, type FieldError } from '../errors.ts';
import { inTransaction, type Db, type Queryable, type Transaction } from '../postgres/client.ts';
import { columns } from '../postgres/columns.ts';
import type { Invite, ServerRole } from '../postgres/generated/prisma/client.ts';
import { definePageLoader } from '../postgres/loader.ts';
import { toPages, type Page, type PageRequest } from '../postgres/page.ts';
import { isCurrent, isRestricted } from '../postgres/restriction.ts';
import { readChatAccesses } from './chat-access.ts';
import { inChat, requireMay } from './locked-chat.ts';
import { may } from './permission.ts';
import { unnest } from '../postgres/unnest.ts';

/** The maximum number of people that an invite with a limit can admit. */
export const maxInviteUses = 100_000;
/** The maximum number of usable invites for a chat, or for the server. */
export const maxInvites = 100;

/**
 * The chat to which an invite leads (null for the server alone), the number of people that the invite admits, and the
 * time when it expires.
 */
export type NewInvite = { chatId: bigint | null; maxUses: number | null; expiresAt: Date | null };

/**
 * Returns a condition that holds if `invite` (an alias of the table invites) admits anyone. This is the case if the
 * invite is neither used up nor expired, and its creator is neither suspended nor muted in the chat. The condition is
 * an SQL expression. An invite is deleted when its creator loses the right to add members.
 */
export function isUsable(invite: string): string {
  return `(${invite}.uses_left is null or ${invite}.uses_left > 0)
    and (${invite}.expires_at is null or ${invite}.expires_at > statement_timestamp())
    and not exists (select from restrictions r where r.chat_id is null and r.user_id = ${invite}.created_by_id
      and r.kind = 'SUSPENSION' and ${isCurrent('r')})
    and not ${isRestricted('MUTE', `${invite}.chat_id`, `${invite}.created_by_id`)}`;
}

/**
 * Creates an invite to a chat, if the asker may add members to the chat, or to the server alone, if they are an admin.
 * Throws InvalidInput if the number of uses or the expiry is not allowed, or if `maxInvites` invites already exist;
 * NotFound for a hidden chat; Forbidden if the asker's role does not allow it, and for a single chat.
 */
export async function createInvite(db: Db, asker: Asker, input: NewInvite): Promise<Invite> {
  checkUses(input.maxUses);
  const { chatId } = input;
  if (chatId === null) {
    return inTransaction(
      db,
      async (transaction) => {
        await requireServerAdmin(transaction, asker);
        // Admins create invites one at a time, so that no two of them can both take the last free slot. Raw SQL,
        // because Prisma cannot lock rows.
        await transaction.query(`select from users where server_role = 'ADMIN' order by id for no key update`);
        return insertInvite(transaction, asker, input);
      },
      asker,
    );
  }
  return inChat(db, { asker, chatId }, async (transaction, locked) => {
    requireMay('createInvite', locked);
    return insertInvite(transaction, asker, input);
  });
}

/**
 * Deletes an invite, so that it no longer admits anyone. Only the invite's creator and the owners and admins of its
 * chat can do this, or server admins if the invite is to the server alone. If the invite is to the server alone, server
 * admins can. Throws Forbidden for other people who may invite people there, and NotFound for everyone else.
 */
export async function revokeInvite(db: Db, asker: Asker, inviteId: bigint): Promise<Invite> {
  const [invite] = await findInvites(db, asker, [inviteId]);
  if (invite === undefined) throw new NotFound('There is no such invite.');
  if (invite.chatId !== null && invite.createdById !== asker.userId) {
    const [access] = await readChatAccesses(db.pool, [{ asker, chatId: invite.chatId }]);
    if (access === undefined || !may(asker, 'updateChat', access)) {
      throw new Forbidden('Only the creator of an invite, owners and admins can revoke it.');
    }
  }
  const { count } = await db.prisma.invite.deleteMany({ where: { id: inviteId } });
  if (count === 0) throw new NotFound('There is no such invite.');
  return invite;
}

/** Returns the usable invite with this code, for a preview, or null if there is none. */
export async function findInviteByCode(client: Queryable, code: string): Promise<Invite | null> {
  if (hashSecret('invite', code) === null) return null;
  // Raw SQL, like all code that reads invites, because the database's clock decides which invites are usable.
  const { rows } = await client.query<Invite>(
    `select ${columns.invite('i')} from invites i where i.code = $1 and ${isUsable('i')}`,
    [code],
  );
  return rows[0] ?? null;
}

/** Loads a page of each chat's usable invites, newest first. The caller must check that the asker may invite. */
export const invitesIn = definePageLoader({ load: listInvites });

async function listInvites(db: Db, chatIds: readonly bigint[], page: PageRequest): Promise<Page<Invite>[]> {
  const { rows } = await db.pool.query<Invite & { index: number }>(
    `select chat.index::int as index, ${columns.invite('i')}
    from ${unnest('$1::bigint[]')} with ordinality as chat (id, index)
    cross join lateral (
      select i.* from invites i
      where i.chat_id = chat.id and i.id < $2::bigint and i.id > $3::bigint and ${isUsable('i')}
      order by i.id ${page.isBackward ? 'asc' : 'desc'} limit $4
    ) i
    order by chat.index, i.id ${page.isBackward ? 'asc' : 'desc'}`,
    [chatIds, page.after?.[0] ?? 2n ** 62n, page.before?.[0] ?? -1n, page.limit + 1],
  );
  return toPages(rows, chatIds, page);
}

/**
 * Returns those of the invites with these ids that are usable and lead to a place to which the asker may invite people,
 * in no particular order.
 */
export async function findInvites(db: Db, asker: Asker, inviteIds: readonly bigint[]): Promise<Invite[]> {
  const { rows } = await db.pool.query<Invite & { role: ServerRole }>(
    `select ${columns.invite('i')}, asker.server_role as role
    from invites i join users asker on asker.id = $2
    where i.id = any ($1) and ${isUsable('i')}`,
    [inviteIds, asker.userId],
  );
  const places = rows.flatMap(({ chatId }) => (chatId === null ? [] : [{ asker, chatId }]));
  const accesses = await readChatAccesses(db.pool, places);
  const open = new Set(
    places.flatMap(({ chatId }, index) => {
      const access = accesses[index];
      return access !== undefined && may(asker, 'createInvite', access) ? [chatId] : [];
    }),
  );
  return rows.flatMap(({ role, ...invite }) =>
    (invite.chatId === null ? effectiveRole(asker, role) === 'ADMIN' : open.has(invite.chatId)) ? [invite] : [],
  );
}

/**
 * Deletes up to `limit` invites that are used up or have expired, and returns the number of deleted invites. Raw SQL
 * with `skip locked`, so that nodes that prune at the same time do not wait for each other.
 */
export async function pruneInvites({ pool }: Pick<Db, 'pool'>, limit: number): Promise<number> {
  const { rowCount } = await pool.query(
    `delete from invites where id = any (array(
      select id from invites where expires_at < statement_timestamp() or uses_left = 0
      limit $1 for update skip locked))`,
    [limit],
  );
  return rowCount ?? 0;
}

function checkUses(maxUses: number | null): void {
  if (maxUses === null || (maxUses >= 1 && maxUses <= maxInviteUses)) return;
  throw new InvalidInput([{ path: ['maxUses'], code: 'NOT_ALLOWED', message: `must be from 1 to ${maxInviteUses}` }]);
}

async function requireServerAdmin({ prisma }: Transaction, asker: Asker): Promise<void> {
  const user = await prisma.user.findUnique({ where: { id: asker.userId }, select: { serverRole: true } });
  // The invite lasts only while its creator has the admin role, and a bot never has that role.
  if (user?.serverRole !== 'ADMIN' || effectiveRole(asker, user.serverRole) !== 'ADMIN')
    throw new Forbidden('Only admins of this server can invite people to it.');
}

/**
 * Inserts the invite if the limit on the number of invites allows it. The caller must have locked the chat or the
 * admins, so that invites are created one at a time.
 */
async function insertInvite(
  client: Queryable,
  { userId }: Asker,
  { chatId, maxUses, expiresAt }: NewInvite,
): Promise<Invite> {
  const { rows: counted } = await client.query<{ isFull: boolean; isLate: boolean }>(
    `select $2::timestamptz is not null and $2 <= clock_timestamp() as "isLate",
      (select count(*) from (
        select from invites i
        where ${chatId === null ? 'i.chat_id is null and $1::bigint is null' : 'i.chat_id = $1'} and ${isUsable('i')}
        limit ${maxInvites}) few) >= ${maxInvites} as "isFull"`,
    [chatId, expiresAt],
  );
  const errors: FieldError[] = [];
  if (counted[0]?.isLate === true) {
    errors.push({ path: ['expiresAt'], code: 'NOT_ALLOWED', message: 'must be in the future' });
  }
  if (counted[0]?.isFull === true) {
    errors.push({ path: ['chatId'], code: 'TOO_MANY', message: `there are ${maxInvites} invites already` });
  }
  if (errors.length > 0) throw new InvalidInput(errors);
  const { rows } = await client.query<Invite>(
    `insert into invites as i (code, chat_id, created_by_id, expires_at, uses_left)
    values ($1, $2, $3, $4, $5) returning ${columns.invite('i')}`,
    [createSecret('invite').secret, chatId, userId, expiresAt, maxUses],
  );
  if (rows[0] === undefined) throw new Error('the insert did not return an invite');
  return rows[0];
}
