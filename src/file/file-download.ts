import type { FileStorage } from './file.ts';
import type { Db } from '../postgres/client.ts';
import type { FileLinks, LinkedKind } from './file-link.ts';
import { FileLookup, readInline, type FoundFile } from './file-lookup.ts';
import { findReportedFile } from './reported-file.ts';
import { parseId } from '../core/id.ts';

export { FileLookup };
export type { FoundFile };

/** The file that a link points to, or the reason why the link is refused. */
export type Followed = { file: FoundFile } | { refusal: 'bad' | 'expired' | 'gone' };

/**
 * Returns the file of a signed link if the link's session is live and its user may still see the file. `withBytes` says
 * whether to include the bytes if they are inline.
 */
export async function followLink(
  { db, fileLinks, lookup }: { db: Db; fileLinks: FileLinks; lookup: FileLookup },
  { id, query, withBytes }: { id: string; query: URLSearchParams; withBytes: boolean },
): Promise<Followed> {
  const file = readSubject(id);
  const link = file && fileLinks.read(file, query);
  if (link === null) return { refusal: 'bad' };
  if (link.expiresAt.getTime() <= Date.now()) return { refusal: 'expired' };
  const question = { ...link, withBytes };
  const found = await (link.kind === 'File' ? lookup.find(question) : findReportedFile(db, question));
  return found === null ? { refusal: 'gone' } : { file: found };
}

/** Parses the global id in a link; returns null if it is not the id of a file. */
function readSubject(id: string): { kind: LinkedKind; fileId: bigint } | null {
  const parsed = parseId(id);
  if (parsed === null || parsed.key.includes('_')) return null;
  const { type, key } = parsed;
  return type === 'File' || type === 'ReportedFile' ? { kind: type, fileId: BigInt(key) } : null;
}

/** Both ends are zero-based and inclusive. */
export type ByteRange = { start: number; end: number };

/** The known properties of the bytes to open. `bytes` contains the inline bytes if they have already been read. */
type StoredBytes = Pick<FoundFile, 'hash' | 'isInline' | 'bytes'>;

/** Opens the bytes of a file. Rejects with an internal error if the bytes are lost. */
export async function openFile(
  services: { files: FileStorage },
  file: StoredBytes,
  range: ByteRange,
): Promise<Buffer | NodeJS.ReadableStream> {
  const found = await findBytes(services, file, range);
  if (found === null) throw new Error(`the file store has lost ${file.hash}`);
  return found;
}

/** Opens the bytes of a file; returns null if they do not exist, for example because the file has just been deleted. */
export async function findBytes(
  { files }: { files: Pick<FileStorage, 'db' | 'store'> },
  { hash, bytes, isInline }: StoredBytes,
  range: ByteRange,
): Promise<Buffer | NodeJS.ReadableStream | null> {
  const stored = isInline ? null : await files.store.open(hash, range);
  // Bytes that were in the store a moment ago may have become inline.
  const found = stored ?? bytes ?? (await readInline(files.db, hash));
  return Buffer.isBuffer(found) ? found.subarray(range.start, range.end + 1) : found;
}

/**
 * Returns a URL from which the client can GET the file directly, with these headers and for a few minutes; returns null
 * if the file is available only through this server.
 */
export async function linkFile(
  { files }: { files: FileStorage },
  { hash, isInline }: FoundFile,
  headers: { contentType: string; disposition: string },
): Promise<string | null> {
  return files.link === null || isInline ? null : files.link(hash, headers);
}
