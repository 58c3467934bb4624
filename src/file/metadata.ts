import { InvalidInput } from '../errors.ts';
import { ByteWindow } from './store/byte-window.ts';
import type { FileStore, StagedBytes } from './store/store.ts';
import { blankOut, edited, joinEdits, type Edit } from './byte-edit.ts';
import { BadBoxes, BoxFile, findMetadata, type Erasure } from './iso-bmff.ts';

/** The media types of videos, and of pictures that the server can't decode (there is no free HEVC decoder). */
const pictureTypes = new Set(['image/heic', 'image/heic-sequence', 'image/heif', 'image/heif-sequence']);
const filmTypes = new Set(['video/mp4', 'video/quicktime', 'video/x-m4v']);

/**
 * Returns a copy of the file without the metadata that says where and with which device the picture or video was taken.
 * All other bytes stay the same. Returns `staged` itself if the type needs no cleaning or the file has no such
 * metadata. Throws InvalidInput if a picture is so damaged that its metadata can't be determined. A damaged video, such
 * as one that a recorder leaves behind when it loses power, is kept unchanged.
 */
export async function eraseMetadata(store: FileStore, contentType: string, staged: StagedBytes): Promise<StagedBytes> {
  if (!pictureTypes.has(contentType) && !filmTypes.has(contentType)) return staged;
  try {
    const erasure = await look(staged);
    const isClean = erasure.blank.length === 0 && erasure.free.length === 0;
    return isClean ? staged : await store.stage(edited(staged.content, editsOf(erasure)));
  } catch (error) {
    if (!(error instanceof BadBoxes)) throw error;
    if (filmTypes.has(contentType)) return staged;
    throw new InvalidInput([{ path: ['file'], code: 'MALFORMED', message: 'is a damaged picture' }]);
  }
}

async function look({ content }: StagedBytes): Promise<Erasure> {
  await using bytes = await ByteWindow.open(content);
  return await findMetadata(new BoxFile(bytes));
}

function editsOf({ blank, free }: Erasure): Edit[] {
  const renamed = free.map((start) => ({ start, end: start + 4, bytes: Buffer.from('free') }));
  return joinEdits(blankOut(blank), renamed);
}
