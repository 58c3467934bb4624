import type { Edit } from './byte-edit.ts';
import { blankOut, edited, joinEdits } from './byte-edit.ts';
import { BadBoxes, BoxFile, findMetadata } from './iso-bmff.ts';
import { findGifNotes, findJpegNotes, findPngNotes, findWebpNotes, type NoteFinder } from './picture-notes.ts';
import { PictureWalk, UnclearPicture } from './picture-walk.ts';
import { ByteWindow } from './store/byte-window.ts';
import type { FileStore, StagedBytes } from './store/store.ts';
import { findTiffNotes } from './tiff-notes.ts';

/** By content type. In an AVIF, EXIF doesn't say how it lies. */
const finders: Record<string, NoteFinder> = {
  'image/jpeg': findJpegNotes,
  'image/png': findPngNotes,
  'image/webp': findWebpNotes,
  'image/gif': findGifNotes,
  'image/tiff': findTiffNotes,
  'image/avif': findBoxNotes,
};

/**
 * The same picture without what a viewer doesn't see, as its format has it: bytes are left out or become zeros, and no
 * pixel is encoded again. It is what was staged when there is nothing to take out, and null when that can't be told in a
 * bounded number of steps. `orientation` is kept, by a note that says only that.
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

/** In the order of the file. */
async function findEdits(content: StagedBytes['content'], find: NoteFinder, orientation: number): Promise<Edit[]> {
  await using bytes = await ByteWindow.open(content);
  const plain = new PictureWalk(bytes);
  await find(plain, 1);
  // With nothing to hide it stays as it is, its orientation included.
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

/** What stands before or in every note that may say where a picture was taken; long enough not to stand there by chance. */
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
 * Whether a picture that can't be cleaned may say where it was taken: by its bytes, wherever they stand. A TIFF's notes
 * have no sign, so it always may.
 */
export async function mayTellPlace({ content }: StagedBytes, contentType: string): Promise<boolean> {
  if (contentType === 'image/tiff') return true;
  await using bytes = await ByteWindow.open(content);
  const walk = new PictureWalk(bytes);
  const find = (seen: Buffer) => (signs.some((sign) => seen.includes(sign, 0, 'latin1')) ? 0 : null);
  return (await walk.seek(0, find, longest)) !== null;
}
