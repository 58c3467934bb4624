import { readFile, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { CannotStart } from '../../errors.ts';
import { openConnection } from '../inspection.ts';

/** How long the statements of the check may take, in ms. */
const checkMs = 5_000;

/**
 * Finds the embedded PostgreSQL that a server runs in `dataDir`, so that another process can use it too. Returns its
 * URL, or null if none is running. Throws CannotStart if there is no database in `dataDir`.
 */
export async function findRunningPostgres(dataDir: string): Promise<string | null> {
  const folder = resolve(dataDir);
  if ((await stat(join(folder, 'postgres')).catch(() => null)) === null) {
    throw new CannotStart(`There is no database in ${folder}: set DATA_DIR or DATABASE_URL as for the server.`);
  }
  const url = await readFile(join(folder, 'database-url'), 'utf8').catch(() => null);
  if (url === null) return null;
  try {
    await (await openConnection(url.trim(), { limitMs: checkMs })).end();
    return url.trim();
  } catch (error) {
    // A killed server leaves its URL file behind.
    if (error instanceof CannotStart) return null;
    throw error;
  }
}
