import { readFile, stat } from 'node:fs/promises';
import { CannotStart } from '../../errors.ts';

/** The system user that PostgreSQL runs as, or null if it runs as the user of this process. */
export type Owner = { uid: number; gid: number } | null;

/**
 * Returns the owner of `folder` or, if the folder does not exist yet, its future owner. PostgreSQL refuses to run as
 * root. If this process runs as root, PostgreSQL therefore runs as the user `postgres` or, if there is none, as
 * `nobody`. Throws CannotStart if the machine has neither of these users.
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
 * Returns the options for spawning a PostgreSQL program in `folder` as `owner`. The environment of the program is
 * nearly empty, because the program must see neither the server's secrets nor the operator's PGPORT or locale.
 */
export function runAs(owner: Owner, folder: string) {
  // Node enters the folder while it is still root, so the owner does not need access to the parent folders.
  return { ...owner, cwd: folder, env: { PATH: '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' } };
}

/**
 * Returns the path that a PostgreSQL server started in `folder` uses for its data. If root started the server as
 * another user, the server may be unable to access a parent of the folder (for example .data in a clone below /root, or
 * below a `mktemp -d`). In that case, it uses its working directory instead.
 */
export function nameOwnFolder(owner: Owner, folder: string): string {
  return owner === null || process.platform !== 'linux' ? folder : '/proc/self/cwd';
}
