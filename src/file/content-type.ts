import { isUtf8 } from 'node:buffer';
import { fileTypeFromBuffer, fileTypeFromFile } from 'file-type';
import type { StagedBytes } from './store/store.ts';

/**
 * Detects the media type of staged bytes. If the bytes contain a known signature, which need not be at the start, it
 * determines the type. Otherwise, the type is plain text if the first bytes are valid UTF-8, and
 * `application/octet-stream` if they are not. The type that the uploader declares is ignored.
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
  // The head may end in the middle of a character, so up to 3 bytes at its end may belong to an incomplete character.
  return !isWhole && [1, 2, 3].some((cut) => isUtf8(head.subarray(0, -cut)));
}
