import { isDeepStrictEqual } from 'node:util';
import type { Program } from '../core/asker.ts';
import { readCustom, type Custom } from '../core/custom.ts';
import { readExternalKey } from '../core/external-key.ts';
import { maxNameLength, readName } from '../core/text.ts';
import { Conflict, Forbidden, InvalidInput, type FieldError } from '../errors.ts';
import { inTransaction, type Db, type Queryable } from '../postgres/client.ts';
import { columns } from '../postgres/columns.ts';
import type { User } from '../postgres/generated/prisma/client.ts';
import { constraintOf } from '../postgres/sql-state.ts';
import { readEmail } from './email.ts';
import { findFreeUsername, maxAttempts, namelessUser } from './foreign-user.ts';
import { nameConflict } from './sign-up.ts';
import { checkNewUsername, fitUsername } from './username.ts';

/**
 * A user, as described by the product that embeds the chat. Undefined leaves a property unchanged; null removes it. A
 * username cannot be removed, so null also leaves it unchanged.
 */
export type UserUpsert = {
  key: string;
  username: string | null | undefined;
  displayName: string | null | undefined;
  email: string | null | undefined;
  custom: Custom | null | undefined;
};

/**
 * Creates or updates the user with this key. Making the same call twice, even concurrently, still results in one user.
 * A new user without a username gets one derived from the display name. An email address counts as verified, because
 * the product guarantees it. If the public profile changed, everyone who shares a chat with the user receives
 * UserUpdated. The caller must have checked that the program may write users. Throws InvalidInput for input that breaks
 * the rules, and Conflict if another user has the username or the email address. Throws Forbidden if the user is a
 * moderator or an admin of the server, because no program can change these users.
 */
export async function upsertUser(db: Db, program: Program, input: UserUpsert): Promise<User> {
  const wanted = readUpsert(input);
  return inTransaction(
    db,
    async (transaction) => {
      // An attempt fails only if another request takes the key or the chosen username at the same moment.
      for (let attempt = 0; attempt < maxAttempts; attempt += 1) {
        const known = await lockByKey(transaction, wanted.key);
        const user = known === null ? await create(transaction, wanted) : await update(transaction, known, wanted);
        if (user === null) continue;
        if (known === null || !isDeepStrictEqual(known, user)) await recordUpsert(transaction, user.id);
        return user;
      }
      throw new Error('no username is free for a new user with a key');
    },
    program,
  );
}

function readUpsert(input: UserUpsert): UserUpsert {
  const errors: FieldError[] = [];
  const key = readExternalKey(input.key, ['key'], errors);
  if (input.username != null) checkNewUsername(input.username, errors);
  const displayName =
    input.displayName == null ? input.displayName : readName(input.displayName, ['displayName'], maxNameLength, errors);
  const email = input.email == null ? input.email : readEmail(input.email, errors);
  const custom = input.custom == null ? input.custom : readCustom(input.custom, ['custom'], errors);
  if (errors.length > 0) throw new InvalidInput(errors);
  return { key, username: input.username, displayName, email, custom };
}

/** Returns the user with this key, and locks their row. Raw SQL, because Prisma cannot lock rows. */
async function lockByKey(client: Queryable, key: string): Promise<User | null> {
  const { rows } = await client.query<User>(
    `select ${columns.user('u')} from users u where u.key = $1 and u.deleted_at is null for no key update`,
    [key],
  );
  return rows[0] ?? null;
}

/**
 * Creates the user. Returns null if another request has just taken the key, or the username that this function chose.
 */
async function create(client: Queryable, wanted: UserUpsert): Promise<User | null> {
  const { key, displayName = null, email = null } = wanted;
  const username = wanted.username ?? (await findFreeUsername(client, fitUsername(displayName ?? '') ?? namelessUser));
  // Raw SQL, for `on conflict`, because a taken name must not fail the transaction.
  const { rows } = await client.query<User>(
    `insert into users as u (key, username, display_name, email, email_verified_at, custom)
    values ($1, $2, $3, $4::text, case when $4::text is not null then clock_timestamp() end, $5)
    on conflict do nothing returning ${columns.user('u')}`,
    [key, username, displayName, email, wanted.custom ?? {}],
  );
  if (rows[0] !== undefined) return rows[0];
  if ((await lockByKey(client, key)) !== null) return null;
  const conflict = await nameConflict(client, { username, email: email ?? '' });
  if (wanted.username == null && (email === null || !conflict.fields.includes('email'))) return null;
  throw conflict;
}

async function update(client: Queryable, user: User, wanted: UserUpsert): Promise<User> {
  if (user.serverRole !== 'USER') {
    throw new Forbidden('This user is a moderator or an admin of the server: no API key can change them.');
  }
  if (wanted.email != null && user.kind === 'BOT') {
    throw new InvalidInput([{ path: ['email'], code: 'NOT_ALLOWED', message: 'a bot has no email address' }]);
  }
  try {
    // Raw SQL, for fold() and the database's clock. A trigger emits UserUpdated.
    const { rows } = await client.query<User>(
      `update users u set username = coalesce($2, username),
        display_name = case when $3 then $4 else display_name end,
        email = case when $5 then $6 else email end,
        email_verified_at = case when not $5 then email_verified_at when $6::text is null then null
          when fold($6) = fold(email) then coalesce(email_verified_at, clock_timestamp()) else clock_timestamp() end,
        custom = coalesce($7::jsonb, custom)
      where u.id = $1 returning ${columns.user('u')}`,
      [
        ...[user.id, wanted.username ?? null, wanted.displayName !== undefined, wanted.displayName ?? null],
        ...[wanted.email !== undefined, wanted.email ?? null, wanted.custom === null ? {} : (wanted.custom ?? null)],
      ],
    );
    return rows[0] ?? user;
  } catch (error) {
    throw explain(error);
  }
}

function explain(error: unknown): unknown {
  const constraint = constraintOf(error);
  if (constraint === 'users_username_key') return new Conflict('The username is taken.', ['username']);
  if (constraint === 'users_email_key') return new Conflict('The email address is taken.', ['email']);
  return error;
}

async function recordUpsert(client: Queryable, userId: bigint): Promise<void> {
  // Adds an entry to the audit log. Raw SQL, to call the function that names the program in the entry.
  await client.query(`select write_audit_entry('UPSERT_USER', 'User', $1, '{}')`, [String(userId)]);
}
