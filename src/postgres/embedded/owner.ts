import { readFile, stat } from 'node:fs/promises';
import { CannotStart } from '../../errors.ts';

/** The system user that PostgreSQL runs as; null: the one that we run as. */
export type Owner = { uid: number; gid: number } | null;

/**
 * Who `folder` belongs to or, when it is not there yet, shall belong to. PostgreSQL refuses to run as root: then it runs
 * as `postgres`, or as `nobody`, who is on every machine.
 */
export async function findOwner(folder: string): Promise<Owner> {
  if (process.getuid?.() !== 0) return null;
  const existing = await stat(folder).catch(() => null);
  if (existing !== null) return { uid: existing.uid, gid: existing.gid };
  const users = (await readFile('/etc/passwd', 'utf8')).split('\n').map((line) => line.split(':'));
  const user = users.find(([name]) => name === 'postgres') ?? users.find(([name]) => name === 'nobody');
  if (user === undefined) {
    throw new CannotStart(
      'PostgreSQL refuses to run as root, and this machine has no user postgres or nobody to run it as. ' +
        'Start as another user, or set DATABASE_URL.',
    );
  }
  return { uid: Number(user[2]), gid: Number(user[3]) };
}

/**
 * How to start a program of PostgreSQL in `folder` as `owner`. Its environment is nearly empty: neither our secrets nor
 * the operator's PGPORT or locale are its business.
 */
export function runAs(owner: Owner, folder: string) {
  // Node enters the folder while it still is root, so the folders above it may be closed to the owner.
  return { ...owner, cwd: folder, env: { PATH: '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' } };
}

/**
 * The name by which PostgreSQL reaches its data, when it was started in there. As root's child it may be unable to walk
 * down to it (.data in a clone below /root, or below a `mktemp -d`), so it never has to: it is there already.
 */
export function nameOwnFolder(owner: Owner, folder: string): string {
  return owner === null || process.platform !== 'linux' ? folder : '/proc/self/cwd';
}
