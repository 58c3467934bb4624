import type { FileStorage } from './file.ts';
import type { FileLinks } from './file-link.ts';
import { FileLookup, readInline, type FoundFile } from './file-lookup.ts';
import { parseId } from '../core/id.ts';

export { FileLookup };
export type { FoundFile };

/** What a link leads to, or why it leads to nothing. */
export type Followed = { file: FoundFile } | { refusal: 'bad' | 'expired' | 'gone' };

/**
 * The file that a signed link is for, if the person for whom it was made may still see it: a link lives no longer than
 * their right. `withBytes`: with its bytes, where they are inline.
 */
export async function followLink(
  { fileLinks, lookup }: { fileLinks: FileLinks; lookup: FileLookup },
  { id, query, withBytes }: { id: string; query: URLSearchParams; withBytes: boolean },
): Promise<Followed> {
  const parsed = parseId(id);
  const isFile = parsed?.type === 'File' && !parsed.key.includes('_');
  const link = isFile ? fileLinks.read(BigInt(parsed.key), query) : null;
  if (link === null) return { refusal: 'bad' };
  if (link.expiresAt.getTime() <= Date.now()) return { refusal: 'expired' };
  const file = await lookup.find({ ...link, withBytes });
  return file === null ? { refusal: 'gone' } : { file };
}

/** Both are counted from 0, and included. */
export type ByteRange = { start: number; end: number };

/** The bytes of a file. Rejects when they are nowhere: that is a fault of ours. */
export async function openFile(
  { files }: { files: FileStorage },
  { hash, bytes, isInline }: FoundFile,
  range: ByteRange,
): Promise<Buffer | NodeJS.ReadableStream> {
  const stored = isInline ? null : await files.store.open(hash, range);
  // What was in the store a moment ago may have become inline.
  const found = stored ?? bytes ?? (await readInline(files.db, hash));
  if (found === null) throw new Error(`the file store has lost ${hash}`);
  return Buffer.isBuffer(found) ? found.subarray(range.start, range.end + 1) : found;
}

/** Where the client may fetch a file itself, by a GET within minutes and with these headers; null: only from us. */
export async function linkFile(
  { files }: { files: FileStorage },
  { hash, isInline }: FoundFile,
  headers: { contentType: string; disposition: string },
): Promise<string | null> {
  return files.link === null || isInline ? null : files.link(hash, headers);
}
