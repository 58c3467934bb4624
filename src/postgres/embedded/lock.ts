import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { CannotStart } from '../../errors.ts';

/** SQLITE_BUSY (https://www.sqlite.org/rescode.html#busy). */
const busy = 5;

/**
 * Makes this process the only one that uses `dataDir`, until it lets go or ends. Throws CannotStart when another has it.
 *
 * Node has no flock, but it has SQLite, whose exclusive transaction is one: the kernel drops the lock with the process,
 * however that ended, so there is never a stale one. A file with a pid in it would be stale after every crash, and two
 * processes could both find it so.
 */
export function lockDataDir(dataDir: string): { release: () => void } {
  const lock = new DatabaseSync(join(dataDir, 'lock'), { timeout: 0 });
  try {
    // Nothing is ever written, so a journal on disk would only be litter.
    lock.exec('pragma journal_mode = memory; begin exclusive');
  } catch (error) {
    lock.close();
    if ((error as { errcode?: number }).errcode !== busy) throw error;
    throw new CannotStart(
      `Another server is using ${dataDir}. Stop that one first, or give this one a DATA_DIR of its own.`,
    );
  }
  return { release: () => lock.close() };
}
