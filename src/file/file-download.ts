import type { FileStorage } from './file.ts';
import type { FileLinks } from './file-link.ts';
import { FileLookup, readInline, type FoundFile } from './file-lookup.ts';
import { parseId } from '../core/id.ts';

export { FileLookup };
export type { FoundFile };

/** The file of a link, or the reason why the link is refused. */
export type Followed = { file: FoundFile } | { refusal: 'bad' | 'expired' | 'gone' };

/**
 * Returns the file of a signed link if the link's session lives and its user may still see the file. `withBytes`:
 * include the bytes if they are inline.
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

/** Both ends are zero-based and inclusive. */
export type ByteRange = { start: number; end: number };

/** Opens the bytes of a file. Rejects when they are lost, which is an internal error. */
export async function openFile(
  { files }: { files: FileStorage },
  { hash, bytes, isInline }: FoundFile,
  range: ByteRange,
): Promise<Buffer | NodeJS.ReadableStream> {
  const stored = isInline ? null : await files.store.open(hash, range);
  // Bytes that were in the store a moment ago may have become inline.
  const found = stored ?? bytes ?? (await readInline(files.db, hash));
  if (found === null) throw new Error(`the file store has lost ${hash}`);
  return Buffer.isBuffer(found) ? found.subarray(range.start, range.end + 1) : found;
}

/**
 * Returns the URL at which the client can GET the file directly, valid for minutes and with these headers, or null if
 * the file is available only through this server.
 */
export async function linkFile(
  { files }: { files: FileStorage },
  { hash, isInline }: FoundFile,
  headers: { contentType: string; disposition: string },
): Promise<string | null> {
  return files.link === null || isInline ? null : files.link(hash, headers);
}
