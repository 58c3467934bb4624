import { randomBytes } from 'node:crypto';
import { readFile, statfs } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { openStore, type StoreSettings } from '../file/store/open.ts';
import { fail, ok, warn, type Check, type Finding } from './check.ts';

/**
 * Thresholds of free disk space, in bytes. Below `least`, uploads will soon be refused; below `comfortable`, the
 * operator receives a warning.
 */
const space = { least: 512 * 1024 ** 2, comfortable: 5 * 1024 ** 3 };
/**
 * The file descriptors that a node needs for files, the database and the store, in addition to those for its
 * connections.
 */
const furtherDescriptors = 1_000;

/** Lists the checks for the machine on which the node runs, and for the file store. */
export function machineChecks(settings: StoreSettings & { maxConnections: number }): Check[] {
  return [
    { name: 'file store', run: () => checkStore(settings) },
    { name: 'disk', run: () => checkDisk(settings.dataDir) },
    { name: 'file descriptors', run: () => checkDescriptors(settings.maxConnections) },
  ];
}

/** Writes a file, reads it and deletes it. */
async function checkStore(settings: StoreSettings): Promise<Finding[]> {
  const { store } = await openStore(settings, () => undefined);
  try {
    await store.prepare();
    const content = randomBytes(1_024);
    const staged = await store.stage(only(Buffer.from(content)));
    try {
      await staged.keep();
    } finally {
      await staged.discard();
    }
    const stream = await store.open(staged.hash, { start: 0, end: content.length - 1 });
    const read = stream === null ? null : await buffer(stream);
    await store.remove(staged.hash);
    if (read?.equals(content) !== true)
      return [fail('a file that was written could not be read: the store loses files.')];
    return [ok(`files can be written, read and deleted in ${settings.fileStore === null ? 'DATA_DIR' : 'the bucket'}`)];
  } finally {
    store.close();
  }
}

async function* only(chunk: Uint8Array): AsyncIterable<Uint8Array> {
  yield chunk;
}

async function checkDisk(dataDir: string): Promise<Finding[]> {
  const { bavail, bsize } = await statfsOfParent(resolve(dataDir));
  const free = bavail * bsize;
  const text = `${(free / 1024 ** 3).toFixed(1)} GiB are free in DATA_DIR`;
  if (free < space.least) return [fail(`${text}: make room, or uploads will soon be refused.`)];
  return [free < space.comfortable ? warn(`${text}: make room soon.`) : ok(text)];
}

/** Checks the nearest parent that exists, because the folder itself may be missing until the server has started. */
async function statfsOfParent(folder: string): Promise<{ bavail: number; bsize: number }> {
  try {
    return await statfs(folder);
  } catch (error) {
    if (dirname(folder) === folder) throw error;
    return statfsOfParent(dirname(folder));
  }
}

async function checkDescriptors(maxConnections: number): Promise<Finding[]> {
  const limits = await readFile('/proc/self/limits', 'utf8').catch(() => '');
  const limit = /^Max open files +(\d+|unlimited)/m.exec(limits)?.[1];
  if (limit === undefined) return [ok('this system does not say how many may be open')];
  const needed = maxConnections + furtherDescriptors;
  if (limit === 'unlimited' || Number(limit) >= needed) return [ok(`${limit} may be open`)];
  return [
    warn(
      `${limit} may be open, but MAX_CONNECTIONS ${maxConnections} needs ${needed}: raise the limit (LimitNOFILE of systemd, ulimit -n), or lower MAX_CONNECTIONS.`,
    ),
  ];
}
