import { createWriteStream } from 'node:fs';
import { open, rm } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { exportPerson } from '../account/export.ts';
import { openStore } from '../file/store/open.ts';
import { findAccount, Misuse, readArguments, type Command } from './command.ts';

/** Exports the data of an account, as the account's user can do at `/api/export`. */
export const exportData: Command = {
  usage: 'export EMAIL|USERNAME FILE',
  meaning: 'writes the data of an account to a new file, as a zip',
  run: async ({ db, storage }, args) => {
    const [name = '', path = ''] = readArguments(args, { texts: { min: 2, max: 2 } }).texts;
    const { id, username } = await findAccount(db, name);
    const { store } = await openStore(storage, () => undefined);
    await createFile(path);
    try {
      // Writes the audit entry first, so that no export lacks one. A trigger could not write the entry, because
      // triggers do not fire on reads.
      await db.pool.query(`select write_audit_entry('EXPORT_USER', 'User', $1, '{}')`, [String(id)]);
      await pipeline(Readable.from(exportPerson({ files: { db, store } }, id)), createWriteStream(path));
    } catch (error) {
      await rm(path, { force: true });
      throw error;
    } finally {
      store.close();
    }
    return `The data of ${username} is in ${path}.`;
  },
};

/** Creates an empty file that only its owner can read. Throws Misuse if the file exists or cannot be created. */
async function createFile(path: string): Promise<void> {
  try {
    await (await open(path, 'wx', 0o600)).close();
  } catch (error) {
    throw new Misuse(`The file cannot be created: ${(error as Error).message}.`, { cause: error });
  }
}
