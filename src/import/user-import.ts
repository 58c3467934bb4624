import { findFreeUsername, maxAttempts, namelessUser } from '../account/foreign-user.ts';
import { fitUsername } from '../account/username.ts';
import type { Queryable } from '../postgres/client.ts';
import { refused, type Numbered, type Result } from './batch.ts';
import { readDeletedKeys, readUserIds } from './imported-chat.ts';
import type { Said } from './import-line.ts';

/**
 * Creates the users that do not exist yet, unless they have been erased, and leaves existing users unchanged.
 * A username that is already taken gets a suffix, and an email address that is already taken is left out.
 */
export async function importUsers(client: Queryable, lines: readonly Numbered<'user'>[]): Promise<Result[]> {
  const keys = lines.map(({ said }) => said.key);
  const known = new Set((await readUserIds(client, keys)).keys());
  const deleted = await readDeletedKeys(client, 'user', keys);
  const results: Result[] = [];
  for (const { said } of lines) {
    if (known.has(said.key)) results.push({ outcome: 'skipped' });
    else if (deleted.has(said.key)) results.push(refused(['user', 'key'], 'the user with this key has been erased'));
    else {
      results.push(await createUser(client, said));
      known.add(said.key);
    }
  }
  return results;
}

type Created = { id: bigint; username: string; email: string | null };

async function createUser(client: Queryable, said: Said['user']): Promise<Result> {
  const wished = said.username ?? fitUsername(said.displayName ?? '') ?? namelessUser;
  // An attempt fails only if another request takes the username, the email address or the key at the same moment.
  for (let attempt = 0; attempt < maxAttempts; attempt += 1) {
    const username = await findFreeUsername(client, wished);
    const { rows } = await client.query<Created>(
      `insert into users (key, username, display_name, email, email_verified_at, kind, custom, created_at)
      select $1, $2, $3, free.email, case when free.email is not null then clock_timestamp() end, $5, $6,
        coalesce($7, now())
      from (select case when not exists (select from users where fold(email) = fold($4)) then $4::text end as email) free
      on conflict do nothing returning id, username, email`,
      [said.key, username, said.displayName, said.email, said.kind, said.custom, said.createdAt ?? null],
    );
    const [created] = rows;
    if (created !== undefined) {
      await client.query(`select write_audit_entry('IMPORT_USER', 'User', $1, '{}')`, [String(created.id)]);
      return describe(said, created);
    }
    if ((await readUserIds(client, [said.key])).has(said.key)) return { outcome: 'skipped' };
  }
  return refused(['user', 'username'], 'no username like this one is free');
}

function describe(said: Said['user'], { username, email }: Created): Result {
  if (said.username != null && username !== said.username) {
    return { outcome: 'created', note: { path: ['user', 'username'], message: `is taken: the user is ${username}` } };
  }
  if (said.email != null && email === null) {
    return { outcome: 'created', note: { path: ['user', 'email'], message: 'is taken: the user has none' } };
  }
  return { outcome: 'created' };
}
