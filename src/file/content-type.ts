import { isUtf8 } from 'node:buffer';
import { fileTypeFromBuffer, fileTypeFromFile } from 'file-type';
import type { StagedBytes } from './store/store.ts';

/**
 * The media type of what was staged: by its signature, wherever in the bytes that is, else plain text where its first
 * bytes can be read as UTF-8, else unknown bytes. What the uploader calls it is not asked.
 */
export async function tellContentType({ content, head, size }: StagedBytes): Promise<string> {
  const isWhole = size === head.length;
  const bytes = isWhole ? head : content;
  const telling = typeof bytes === 'string' ? fileTypeFromFile(bytes) : fileTypeFromBuffer(bytes);
  const type = await telling.catch(() => undefined);
  const mime = type?.mime.split(';', 1)[0];
  if (mime !== undefined && /^[a-z]+\/[A-Za-z0-9.+_-]{1,100}$/.test(mime)) return mime;
  return isText(head, isWhole) ? 'text/plain' : 'application/octet-stream';
}

function isText(head: Buffer, isWhole: boolean): boolean {
  if (head.includes(0)) return false;
  if (isUtf8(head)) return true;
  // Where the head is cut, a character may be cut with it: 3 bytes of it at most.
  return !isWhole && [1, 2, 3].some((cut) => isUtf8(head.subarray(0, -cut)));
}
