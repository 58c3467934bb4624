import { buffer } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { fromBuffer, type Entry, type ZipFile } from 'yauzl';
import type { Data } from './client.ts';

/** Returns the files in a zip by their paths, as found by a reader that checks sizes and paths. */
export async function readZip(bytes: Uint8Array): Promise<Map<string, Buffer>> {
  const open = promisify<Buffer, object, ZipFile>(fromBuffer);
  const zip = await open(Buffer.from(bytes), { lazyEntries: true, strictFileNames: true });
  const files = new Map<string, Buffer>();
  for (let entry = await nextEntry(zip); entry !== null; entry = await nextEntry(zip)) {
    if (files.has(entry.fileName)) throw new Error(`The zip has two files ${entry.fileName}.`);
    const found = entry;
    const stream = await new Promise<NodeJS.ReadableStream>((resolve, reject) => {
      zip.openReadStream(found, (error, opened) => (error === null ? resolve(opened) : reject(error)));
    });
    files.set(entry.fileName, await buffer(stream));
  }
  return files;
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

/** Returns the content of a JSON file in a zip. */
export function jsonIn(files: Map<string, Buffer>, path: string): Data {
  const bytes = files.get(path);
  if (bytes === undefined) throw new Error(`The zip has no ${path}, only ${[...files.keys()].join(', ')}.`);
  return JSON.parse(bytes.toString('utf8'));
}
