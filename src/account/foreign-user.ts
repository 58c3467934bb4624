import { isDeepStrictEqual } from 'node:util';
import type { Custom } from '../core/custom.ts';
import type { Queryable } from '../postgres/client.ts';
import { advisoryLocks } from '../postgres/advisory-lock.ts';
import { Unauthenticated } from '../errors.ts';
import type { ServerRole } from '../postgres/generated/prisma/client.ts';
import type { ClaimedProfile } from './claim.ts';
import { noteClaimedPicture } from './claimed-picture.ts';
import { subjectKey, type ForeignToken } from './foreign-token.ts';
import { constraintOf } from '../postgres/sql-state.ts';
import { isRefused } from './token-refusal.ts';
import { fitUsername, listUsernames } from './username.ts';
import { unnest } from '../postgres/unnest.ts';

/** A stored identity of a user, with the claims that were last read. */
type Identity = {
  userId: bigint;
  isErased: boolean;
  claimsIssuedAt: Date;
  username: string | null;
  displayName: string | null;
  email: string | null;
  serverRole: ServerRole;
  custom: Custom | null;
};

/** The claims that an identity stores. The picture has its own table. */
type StoredClaims = Omit<ClaimedProfile, 'picture'>;

/** The username of a new user whose token contains no usable name. */
export const namelessUser = 'user';
/**
 * How many times the insert of a user is attempted. An attempt fails only if another user takes the chosen name or
 * email address at the same moment.
 */
export const maxAttempts = 10;

/**
 * Finds the user that a verified token identifies, inside a transaction. Creates the user on the first visit, and
 * updates the profile if the claims have changed since the last visit. The user's row, and the session that the token
 * names, stay locked until the transaction ends. Throws Unauthenticated, and creates nothing, if the token is refused.
 */
export async function enter(client: Queryable, token: ForeignToken): Promise<{ userId: bigint; isNew: boolean }> {
  await lockToken(client, token.issuer, [subjectKey(token.subject), token.sessionKey]);
  const identity = await findIdentity(client, token);
  // Runs after the locks, so that it sees every refusal that was written before.
  if ((await isRefused(client, token)) || identity?.isErased === true) {
    throw new Unauthenticated('The session has ended: sign in again.');
  }
  if (identity === null) return { userId: await createUser(client, token), isNew: true };
  if (token.issuedAt > identity.claimsIssuedAt) await updateProfile(client, identity, token);
  return { userId: identity.userId, isNew: false };
}

/**
 * Serialises the transactions that accept or refuse tokens of the same subject or session. Raw SQL, for an advisory
 * lock, which needs no stored row.
 */
export async function lockToken(client: Queryable, issuer: string, keys: readonly string[]): Promise<void> {
  await client.query(
    `select pg_advisory_xact_lock($1, hash) from (
      select distinct hashtext($2 || E'\\n' || key) as hash from ${unnest('$3::text[]')} key order by hash
    ) hashes`,
    [advisoryLocks['foreign token'], issuer, keys],
  );
}

async function findIdentity(client: Queryable, { issuer, subject }: ForeignToken): Promise<Identity | null> {
  // Locks the user, so that concurrent transactions cannot open or end the user's sessions at the same time. Raw SQL,
  // because Prisma cannot lock rows.
  const { rows } = await client.query<Identity>(
    `select i.user_id as "userId", u.deleted_at is not null as "isErased", i.claims_issued_at as "claimsIssuedAt",
      i.claimed_username as username, i.claimed_display_name as "displayName", i.claimed_email as email,
      i.claimed_server_role as "serverRole", i.claimed_custom as custom
    from identities i join users u on u.id = i.user_id
    where i.issuer = $1 and i.subject = $2 for no key update of u, i`,
    [issuer, subject],
  );
  return rows[0] ?? null;
}

async function createUser(client: Queryable, { issuer, subject, issuedAt, profile }: ForeignToken): Promise<bigint> {
  const { username, displayName = null, email = null, serverRole = 'USER', custom = null } = profile;
  const wished = fitUsername(username ?? '') ?? fitUsername(displayName ?? '') ?? namelessUser;
  const userId = await insertUser(client, { wished, displayName, email, serverRole, custom: custom ?? {} });
  // Raw SQL, like all statements in this transaction, which costs half as much without Prisma.
  await client.query(
    `insert into identities (issuer, subject, user_id, claims_issued_at,
      claimed_username, claimed_display_name, claimed_email, claimed_server_role, claimed_custom)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
    [issuer, subject, userId, issuedAt, username ?? null, displayName, email, serverRole, custom],
  );
  if (profile.picture !== undefined) await noteClaimedPicture(client, userId, profile.picture);
  return userId;
}

/** A user to be created with the preferred name, or with a name that begins with it. */
type NewUser = {
  wished: string;
  displayName: string | null;
  email: string | null;
  serverRole: ServerRole;
  custom: Custom;
};

async function insertUser(client: Queryable, { wished, ...profile }: NewUser): Promise<bigint> {
  const { displayName, email, serverRole, custom } = profile;
  for (let attempt = 0; attempt < maxAttempts; attempt += 1) {
    const username = await findFreeUsername(client, wished);
    // Raw SQL, to use `on conflict` and fold(), which the unique indexes use. The issuer has already verified the
    // address.
    const { rows } = await client.query<{ id: bigint }>(
      `insert into users (username, email, display_name, email_verified_at, server_role, custom)
      select $1, case when ${isFree('email', '$2')} then $2 end, $3,
        case when $2 is not null and ${isFree('email', '$2')} then clock_timestamp() end, $4::server_role,
        $5::jsonb
      on conflict do nothing returning id`,
      [username, email, displayName, serverRole, custom],
    );
    if (rows[0] !== undefined) return rows[0].id;
  }
  throw new Error('no username is free for a new user of another system');
}

/**
 * Finds a username that no user except `ownId` has: the preferred name, or one that begins with it. Another request may
 * still take the name afterwards.
 */
export async function findFreeUsername(client: Queryable, wished: string, ownId = 0n): Promise<string> {
  const { rows } = await client.query<{ name: string }>(
    `select name from ${unnest('$1::text[]')} with ordinality as candidates (name, place)
    where not exists (select from users where fold(username) = fold(name) and id <> $2) order by place limit 1`,
    [listUsernames(wished), ownId],
  );
  const [free] = rows;
  if (free === undefined) throw new Error('no username is free for a user of another system');
  return free.name;
}

/** Returns an SQL condition that holds if no user except `ownId` (an SQL expression) has that value. */
function isFree(column: 'email', value: string, ownId = '0'): string {
  return `not exists (select from users where fold(${column}) = fold(${value}) and id <> ${ownId})`;
}

/**
 * Applies only the claims that have changed since they were last read, so that a property that the user has changed
 * stays until its claim changes. A missing claim changes nothing.
 */
async function updateProfile(
  client: Queryable,
  identity: Identity,
  { issuer, subject, issuedAt, profile }: ForeignToken,
): Promise<void> {
  const { picture, ...rest } = profile;
  if (picture !== undefined) await noteClaimedPicture(client, identity.userId, picture);
  const changed = changesIn(identity, rest);
  const { serverRole: claimedRole } = changed;
  const hasRole = claimedRole === undefined || (await setRole(client, identity.userId, claimedRole));
  // Records which claims were read. Raw SQL, like all statements in this transaction.
  await client.query(
    `update identities set claims_issued_at = $3, claimed_username = $4, claimed_display_name = $5, claimed_email = $6,
      claimed_server_role = $7, claimed_custom = $8
    where issuer = $1 and subject = $2`,
    [
      issuer,
      subject,
      issuedAt,
      profile.username ?? identity.username,
      profile.displayName ?? identity.displayName,
      profile.email === undefined ? identity.email : profile.email,
      // If a role could not be applied, it is not recorded, so that the next token tries again.
      hasRole ? (profile.serverRole ?? identity.serverRole) : identity.serverRole,
      profile.custom ?? identity.custom,
    ],
  );
  const wished = changed.username === undefined ? null : fitUsername(changed.username);
  const username = wished === null ? null : await findFreeUsername(client, wished, identity.userId);
  if (Object.keys(changed).length === 0) return;
  // Raw SQL, to use fold(), as the unique indexes do. A trigger emits UserUpdated.
  await client.query(
    `update users set username = coalesce($2, username), display_name = coalesce($3, display_name),
      custom = coalesce($6::jsonb, custom),
      email = case when not $4 then email when ${isFree('email', '$5', '$1')} then $5 end,
      email_verified_at = case when not $4 then email_verified_at
        when $5 is not null and ${isFree('email', '$5', '$1')} then clock_timestamp() end
    where id = $1`,
    [
      ...[identity.userId, username, changed.displayName ?? null],
      ...[changed.email !== undefined, changed.email ?? null, changed.custom ?? null],
    ],
  );
}

/** Sets the role, and returns whether this was possible: the server's last admin cannot lose the role. */
async function setRole(client: Queryable, userId: bigint, role: ServerRole): Promise<boolean> {
  // Raw SQL, for the savepoint, which lets the transaction continue after the refusal.
  await client.query('savepoint before_role');
  try {
    await client.query('update users set server_role = $2 where id = $1', [userId, role]);
    return true;
  } catch (error) {
    if (constraintOf(error) !== 'the_server_keeps_an_admin') throw error;
    await client.query('rollback to savepoint before_role');
    return false;
  }
}

function changesIn(identity: Identity, profile: StoredClaims): StoredClaims {
  return Object.fromEntries(
    Object.entries(profile).filter(([name, value]) => !isDeepStrictEqual(value, identity[name as keyof StoredClaims])),
  );
}
