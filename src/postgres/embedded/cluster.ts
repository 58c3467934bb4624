import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chown, mkdir, mkdtemp, open, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import type { Logger } from 'pino';
import { CannotStart } from '../../errors.ts';
import { findOwner, nameOwnFolder, type Owner, runAs } from './owner.ts';
import { findPrograms, type Programs } from './programs.ts';

/** The superuser of the embedded PostgreSQL. It creates the application's role and database, and does nothing else. */
export const superuser = 'postgres';

/** The application's role, which owns the database. It is not a superuser, so it can't read files or run programs. */
export const applicationRole = 'parley';

/** A database cluster on disk, and what is needed to run it. Only `owner` can read the folder. */
export type Cluster = { folder: string; passwords: Passwords; owner: Owner; programs: Programs };

/** The passwords of the superuser and of the application's role. */
type Passwords = { superuser: string; application: string };

/** The files next to the cluster that contain the passwords. */
const passwordFiles: Passwords = { superuser: 'superuser-password', application: 'application-password' };

/**
 * Returns the cluster in `home`, creating it at the first start. The cluster exists either completely or not at all,
 * because it is created next to `home` and moved there when it is complete. An interrupted start therefore leaves
 * nothing that obstructs the next one. The caller must hold the lock on the data folder. Throws CannotStart.
 */
export async function prepareCluster(home: string, log: Logger): Promise<Cluster> {
  const owner = await findOwner(home);
  const programs = await findPrograms(owner);
  await removeDrafts(home);
  if ((await stat(home).catch(() => null)) === null) {
    log.info(`creating a database in ${home}`);
    await createCluster(home, owner, programs);
  }
  return { folder: join(home, 'cluster'), passwords: await readPasswords(home), owner, programs };
}

async function readPasswords(home: string): Promise<Passwords> {
  const read = async (file: string) => (await readFile(join(home, file), 'utf8')).trim();
  try {
    return { superuser: await read(passwordFiles.superuser), application: await read(passwordFiles.application) };
  } catch (error) {
    throw new CannotStart(
      `The database in ${home} was created by a version from before the first release, or is incomplete: move it away to start with an empty one.`,
      { cause: error },
    );
  }
}

async function createCluster(home: string, owner: Owner, programs: Programs): Promise<void> {
  const draft = await mkdtemp(`${home}.`);
  const folder = join(draft, 'cluster');
  const files = Object.values(passwordFiles).map((file) => join(draft, file));
  await mkdir(folder, { mode: 0o700 });
  for (const file of files) {
    await writeFile(file, `${randomBytes(24).toString('base64url')}\n`, { mode: 0o600, flush: true });
  }
  if (owner !== null) {
    for (const path of [draft, folder, ...files]) await chown(path, owner.uid, owner.gid);
  }
  await initialise(programs.initdb, folder, owner);
  await rename(draft, home);
  await syncFolder(dirname(home));
}

async function initialise(initdb: string, folder: string, owner: Owner): Promise<void> {
  const own = nameOwnFolder(owner, folder);
  const args = [
    `--pgdata=${own}`,
    `--pwfile=${own}/../${passwordFiles.superuser}`,
    `--username=${superuser}`,
    '--auth=scram-sha-256',
    '--encoding=UTF8',
    // This locale sorts by code point and converts between upper and lower case in every alphabet, in the same way on
    // every machine.
    '--locale-provider=builtin',
    '--builtin-locale=C.UTF-8',
    '--locale=C',
    '--no-instructions',
  ];
  await promisify(execFile)(initdb, args, runAs(owner, folder)).catch((error: Error & { stderr?: string }) => {
    throw new CannotStart(`PostgreSQL could not create its files in ${folder}: ${error.stderr || error.message}`);
  });
}

async function removeDrafts(home: string): Promise<void> {
  const siblings = (await readdir(dirname(home))).map((name) => join(dirname(home), name));
  for (const draft of siblings.filter((path) => path.startsWith(`${home}.`))) {
    // The initdb of a killed server may still be writing here. The files that it leaves behind must not prevent a
    // start.
    await rm(draft, { recursive: true, maxRetries: 5 }).catch(() => {});
  }
}

/** Makes the rename durable. Otherwise a power cut could undo it, and everything stored since would be lost. */
async function syncFolder(path: string): Promise<void> {
  await using folder = await open(path, 'r');
  await folder.sync();
}
