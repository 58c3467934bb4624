import { readdir, readFile, stat } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { open as openZip, type Entry, type Options, type ZipFile } from 'yauzl';

/** The files of an export, which is a folder or a zip file, by `/`-separated path. */
export type ExportSource = AsyncDisposable & {
  paths: string[];
  /** Reads a file as JSON; returns undefined if there is no such file. Throws if the file is not JSON. */
  readJson: (path: string) => Promise<unknown>;
};

/** The largest file to read from a zip file, in bytes. A file can be far larger than the zip file that contains it. */
const maxFileBytes = 512 * 1024 * 1024;

/**
 * Opens an export. All of the files may be inside one folder of the export: `root` matches a file that lies directly in
 * that folder.
 */
export async function openExport(path: string, root: RegExp): Promise<ExportSource> {
  const source = (await stat(path)).isDirectory() ? await openFolder(path) : await openZipFile(path);
  const base = source.paths.find((each) => root.test(each))?.replace(/[^/]*$/, '') ?? '';
  return {
    paths: source.paths.filter((each) => each.startsWith(base)).map((each) => each.slice(base.length)),
    readJson: async (each) => {
      const bytes = await source.read(base + each);
      return bytes === undefined ? undefined : parse(each, bytes);
    },
    [Symbol.asyncDispose]: source.close,
  };
}

type Files = { paths: string[]; read: (path: string) => Promise<Buffer | undefined>; close: () => Promise<void> };

async function openFolder(folder: string): Promise<Files> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const paths = entries
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => relative(folder, join(parentPath, name)).split(sep).join('/'));
  const known = new Set(paths);
  return {
    paths,
    read: async (path) => (known.has(path) ? readFile(join(folder, path)) : undefined),
    close: () => Promise.resolve(),
  };
}

async function openZipFile(path: string): Promise<Files> {
  const open = promisify<string, Options, ZipFile>(openZip);
  const zip = await open(path, { lazyEntries: true, autoClose: false });
  const entries = new Map<string, Entry>();
  for (let entry = await nextEntry(zip); entry !== null; entry = await nextEntry(zip)) {
    entries.set(entry.fileName, entry);
  }
  return {
    paths: [...entries.keys()],
    read: async (each) => {
      const entry = entries.get(each);
      return entry === undefined ? undefined : readEntry(zip, entry);
    },
    close: async () => zip.close(),
  };
}

function nextEntry(zip: ZipFile): Promise<Entry | null> {
  return new Promise((resolve, reject) => {
    const settle = () => zip.off('entry', take).off('end', end).off('error', fail);
    const take = (entry: Entry) => (settle(), resolve(entry));
    const end = () => (settle(), resolve(null));
    const fail = (error: Error) => (settle(), reject(error));
    zip.on('entry', take).on('end', end).on('error', fail);
    zip.readEntry();
  });
}

async function readEntry(zip: ZipFile, entry: Entry): Promise<Buffer> {
  // yauzl fails if the content is larger than the size recorded in the zip file.
  if (entry.uncompressedSize > maxFileBytes) throw new Error(`${entry.fileName} is larger than ${maxFileBytes} bytes.`);
  const stream = await new Promise<NodeJS.ReadableStream>((resolve, reject) => {
    zip.openReadStream(entry, (error, opened) => (error === null ? resolve(opened) : reject(error)));
  });
  return buffer(stream);
}

function parse(path: string, bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch (error) {
    throw new Error(`${path} is not JSON.`, { cause: error });
  }
}
