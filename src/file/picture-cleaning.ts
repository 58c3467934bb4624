import type { Edit } from './byte-edit.ts';
import { blankOut, edited, joinEdits } from './byte-edit.ts';
import { BadBoxes, BoxFile, findMetadata } from './iso-bmff.ts';
import { findGifNotes, findJpegNotes, findPngNotes, findWebpNotes, type NoteFinder } from './picture-notes.ts';
import { PictureWalk, UnclearPicture } from './picture-walk.ts';
import { ByteWindow } from './store/byte-window.ts';
import type { FileStore, StagedBytes } from './store/store.ts';
import { findTiffNotes } from './tiff-notes.ts';

/**
 * The function that finds the data to remove, by content type. In an AVIF, EXIF data does not determine the
 * orientation.
 */
const finders: Record<string, NoteFinder> = {
  'image/jpeg': findJpegNotes,
  'image/png': findPngNotes,
  'image/webp': findWebpNotes,
  'image/gif': findGifNotes,
  'image/tiff': findTiffNotes,
  'image/avif': findBoxNotes,
};

/**
 * Returns the same picture without the data that viewers of its format do not display: the bytes are removed or zeroed,
 * and no pixel is re-encoded. Returns `staged` itself if there is nothing to remove. Returns null if the data to remove
 * can't be determined, because the picture has too many parts or is damaged. Keeps the `orientation` in a metadata
 * entry that contains nothing else.
 */
export async function cleanPicture(
  store: FileStore,
  staged: StagedBytes,
  { contentType, orientation }: { contentType: string; orientation: number },
): Promise<StagedBytes | null> {
  const find = finders[contentType];
  if (find === undefined) return staged;
  try {
    const edits = await findEdits(staged.content, find, orientation);
    return edits.length === 0 ? staged : await store.stage(edited(staged.content, edits));
  } catch (error) {
    if (error instanceof UnclearPicture || error instanceof BadBoxes) return null;
    throw error;
  }
}

/** Returns the edits, sorted by their position in the file. */
async function findEdits(content: StagedBytes['content'], find: NoteFinder, orientation: number): Promise<Edit[]> {
  await using bytes = await ByteWindow.open(content);
  const plain = new PictureWalk(bytes);
  await find(plain, 1);
  // If there is no metadata to remove, the file stays unchanged, including its orientation.
  if (plain.edits.length === 0 || orientation === 1) return inOrder(plain.edits);
  const turned = new PictureWalk(bytes);
  await find(turned, orientation);
  return inOrder(turned.edits);
}

function inOrder(edits: readonly Edit[]): Edit[] {
  return edits.toSorted((one, other) => one.start - other.start || one.end - other.end);
}

async function findBoxNotes(walk: PictureWalk): Promise<void> {
  const { blank, free } = await findMetadata(new BoxFile(walk.bytes));
  const renamed = free.map((start) => ({ start, end: start + 4, bytes: Buffer.from('free') }));
  walk.edits.push(...joinEdits(blankOut(blank), renamed));
}

/**
 * Byte sequences that occur in or before any metadata that may contain a location, and that are too long to occur by
 * chance.
 */
const signs = [
  'Exif\0',
  'http://ns.adobe.com/xap',
  'xmpmeta',
  'photoshop:',
  'exif:GPS',
  'Photoshop 3.0',
  'GPSLatitude',
];
const longest = Math.max(...signs.map((sign) => sign.length));

/**
 * Whether a picture that can't be cleaned may reveal where it was taken. Searches all of its bytes for `signs`. TIFF
 * metadata has no signature, so the result is always true for a TIFF.
 */
export async function mayTellPlace({ content }: StagedBytes, contentType: string): Promise<boolean> {
  if (contentType === 'image/tiff') return true;
  await using bytes = await ByteWindow.open(content);
  const walk = new PictureWalk(bytes);
  const find = (seen: Buffer) => (signs.some((sign) => seen.includes(sign, 0, 'latin1')) ? 0 : null);
  return (await walk.seek(0, find, longest)) !== null;
}
