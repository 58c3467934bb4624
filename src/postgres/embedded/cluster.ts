import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chown, mkdir, mkdtemp, open, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import type { Logger } from 'pino';
import { CannotStart } from '../../errors.ts';
import { findOwner, nameOwnFolder, type Owner, runAs } from './owner.ts';
import { findPrograms, type Programs } from './programs.ts';

/** The role of the embedded database, its superuser. */
export const role = 'parley';

/** A database cluster on disk, with what it takes to run it. Only its owner can read its folder. */
export type Cluster = { folder: string; password: string; owner: Owner; programs: Programs };

/**
 * The cluster kept in `home`, made at the first start. It is there whole or not at all: it is made beside its place and
 * moved there when it is finished, so a start that was cut off leaves nothing that the next one would trip over.
 * The caller holds the lock of the data folder.
 */
export async function prepareCluster(home: string, log: Logger): Promise<Cluster> {
  const owner = await findOwner(home);
  const programs = await findPrograms(owner);
  await removeDrafts(home);
  if ((await stat(home).catch(() => null)) === null) {
    log.info(`making a database in ${home}`);
    await createCluster(home, owner, programs);
  }
  const password = await readFile(join(home, 'password'), 'utf8');
  return { folder: join(home, 'cluster'), password: password.trim(), owner, programs };
}

async function createCluster(home: string, owner: Owner, programs: Programs): Promise<void> {
  const draft = await mkdtemp(`${home}.`);
  const folder = join(draft, 'cluster');
  const passwordFile = join(draft, 'password');
  await mkdir(folder, { mode: 0o700 });
  await writeFile(passwordFile, `${randomBytes(24).toString('base64url')}\n`, { mode: 0o600, flush: true });
  if (owner !== null) {
    for (const path of [draft, folder, passwordFile]) await chown(path, owner.uid, owner.gid);
  }
  await initialise(programs.initdb, folder, owner);
  await rename(draft, home);
  await syncFolder(dirname(home));
}

async function initialise(initdb: string, folder: string, owner: Owner): Promise<void> {
  const own = nameOwnFolder(owner, folder);
  const args = [
    `--pgdata=${own}`,
    `--pwfile=${own}/../password`,
    `--username=${role}`,
    '--auth=scram-sha-256',
    '--encoding=UTF8',
    // Sorts by code point and knows every alphabet's cases, the same on every machine.
    '--locale-provider=builtin',
    '--builtin-locale=C.UTF-8',
    '--locale=C',
    '--no-instructions',
  ];
  await promisify(execFile)(initdb, args, runAs(owner, folder)).catch((error: Error & { stderr?: string }) => {
    throw new CannotStart(`PostgreSQL could not make its files in ${folder}: ${error.stderr || error.message}`);
  });
}

async function removeDrafts(home: string): Promise<void> {
  const siblings = (await readdir(dirname(home))).map((name) => join(dirname(home), name));
  for (const draft of siblings.filter((path) => path.startsWith(`${home}.`))) {
    // The initdb of a killed server may be writing there yet. What it leaves is litter, no reason not to start.
    await rm(draft, { recursive: true, maxRetries: 5 }).catch(() => {});
  }
}

/** After this a power cut does not take the move back, and with it all that was stored since. */
async function syncFolder(path: string): Promise<void> {
  await using folder = await open(path, 'r');
  await folder.sync();
}
