import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { CannotStart } from '../../errors.ts';

/** SQLITE_BUSY (https://www.sqlite.org/rescode.html#busy). */
const busy = 5;

/**
 * Makes this process the only user of `dataDir` until it calls `release` or exits. Throws CannotStart if another
 * process is already using the folder.
 *
 * Node has no flock, but it has SQLite, whose exclusive transaction is a file lock. The kernel releases that lock when
 * the process ends for any reason, so the lock never becomes stale. A pid file would be stale after every crash, and
 * two processes could both take it over.
 */
export function lockDataDir(dataDir: string): { release: () => void } {
  const lock = new DatabaseSync(join(dataDir, 'lock'), { timeout: 0 });
  try {
    // Nothing is ever written to this database, so it does not need a journal on disk.
    lock.exec('pragma journal_mode = memory; begin exclusive');
  } catch (error) {
    lock.close();
    if ((error as { errcode?: number }).errcode !== busy) throw error;
    throw new CannotStart(
      `Another server is using ${dataDir}. Stop that server first, or set a different DATA_DIR for this one.`,
    );
  }
  return { release: () => lock.close() };
}
