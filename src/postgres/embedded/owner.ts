import { readFile, stat } from 'node:fs/promises';
import { CannotStart } from '../../errors.ts';

/** The system user that PostgreSQL runs as; null for the user that this process runs as. */
export type Owner = { uid: number; gid: number } | null;

/**
 * Finds the owner of `folder` or, if it does not exist yet, its future owner. PostgreSQL refuses to run as root: if
 * this process is root, PostgreSQL runs as `postgres` or, failing that, as `nobody`. Throws CannotStart if the machine
 * has neither user.
 */
export async function findOwner(folder: string): Promise<Owner> {
  if (process.getuid?.() !== 0) return null;
  const existing = await stat(folder).catch(() => null);
  if (existing !== null) return { uid: existing.uid, gid: existing.gid };
  const users = (await readFile('/etc/passwd', 'utf8')).split('\n').map((line) => line.split(':'));
  const user = users.find(([name]) => name === 'postgres') ?? users.find(([name]) => name === 'nobody');
  if (user === undefined) {
    throw new CannotStart(
      'PostgreSQL refuses to run as root, and this machine has neither a user `postgres` nor a user `nobody` to run it as. ' +
        'Start as another user, or set DATABASE_URL.',
    );
  }
  return { uid: Number(user[2]), gid: Number(user[3]) };
}

/**
 * Options for spawning a PostgreSQL program in `folder` as `owner`. Its environment is nearly empty: it must see
 * neither our secrets nor the operator's PGPORT or locale.
 */
export function runAs(owner: Owner, folder: string) {
  // Node enters the folder while it is still root, so the owner need not have access to the folders above it.
  return { ...owner, cwd: folder, env: { PATH: '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' } };
}

/**
 * The path that a PostgreSQL server started in `folder` uses for its data. As a child of root it may lack access to a
 * folder above (.data in a clone below /root, or below a `mktemp -d`), so it uses its working directory instead.
 */
export function nameOwnFolder(owner: Owner, folder: string): string {
  return owner === null || process.platform !== 'linux' ? folder : '/proc/self/cwd';
}
