import { FairQueue } from '../core/fair-queue.ts';
import type { Asker } from '../core/asker.ts';
import { InvalidInput } from '../errors.ts';
import { cleanPicture, mayTellPlace } from './picture-cleaning.ts';
import { thumbnailSides, type Pixels, type ThumbnailSize } from './picture-protocol.ts';
import { PictureBudget } from './picture-budget.ts';
import { PictureTooHeavy, PictureWorker, type Development } from './picture-worker.ts';
import type { FileStore, StagedBytes } from './store/store.ts';

export { thumbnailSides, type ThumbnailSize };

/** The types that are processed as pictures. Other types are plain files; for HEIC, see metadata.ts. */
const pictureTypes = new Set(['image/jpeg', 'image/png', 'image/webp', 'image/gif', 'image/avif', 'image/tiff']);

/**
 * How many pictures are processed at the same time, each by its own worker. Each user has at most one picture in
 * progress.
 */
const workerCount = 2;

/** The properties of a decoded picture that users see. The caller owns all staged bytes. */
export type Picture = {
  width: number;
  height: number;
  blurhash: string;
  thumbnails: { size: ThumbnailSize; staged: StagedBytes }[];
};

/**
 * The result of processing a file whose type is a picture type. `staged` shows no sign of metadata about the place or
 * the device. The exception is `isUnclear`, which means that the metadata can't be determined and that the file must
 * not be shown as a picture. `note` says what the server could not do with the file.
 */
export type DevelopedPicture = {
  staged: StagedBytes;
  picture: Picture | null;
  isUnclear: boolean;
  note: string | null;
};

/** Returns whether files of this content type are processed as pictures. */
export function isPictureType(contentType: string): boolean {
  return pictureTypes.has(contentType);
}

/** Processes the pictures that users upload to this node. */
export class Pictures {
  readonly #workers: PictureWorker[] = Array.from({ length: workerCount }, () => new PictureWorker());
  readonly #free = [...this.#workers];
  readonly #budget = new PictureBudget();
  readonly #queue = new FairQueue({
    work: 'pictures',
    concurrency: workerCount,
    concurrencyPerPerson: 1,
    maxWaitingPerPerson: 50,
    maxWaiting: 1_000,
  });

  /**
   * Processes the staged bytes into a picture: removes its metadata (EXIF, GPS, XMP, IPTC, comments), and makes
   * thumbnails if the picture can be decoded. Pixels are re-encoded only to rotate a picture upright, at the same
   * quality. Throws InvalidInput if no part of the picture can be decoded, and RateLimited if too many pictures are
   * waiting or the user has used up their time.
   */
  async develop(
    store: FileStore,
    asker: Pick<Asker, 'userId'>,
    { staged, contentType }: { staged: StagedBytes; contentType: string },
  ): Promise<DevelopedPicture> {
    const person = String(asker.userId);
    this.#budget.check(person);
    return this.#queue.run({ person }, async () => {
      const start = performance.now();
      const worker = this.#free.pop();
      if (worker === undefined) throw new Error('a picture has no worker');
      // Starts the idle workers now, so that the next user's picture does not wait for a process to start.
      for (const other of this.#free) other.warm();
      try {
        return await worker.develop(staged.content, (found) => finish(store, { staged, contentType, found }));
      } finally {
        this.#free.push(worker);
        this.#budget.spend(person, performance.now() - start);
      }
    });
  }

  /** Ends the workers. */
  close(): void {
    for (const worker of this.#workers) worker.close();
  }
}

type Found = { staged: StagedBytes; contentType: string; found: Development };

async function finish(store: FileStore, { staged, contentType, found }: Found): Promise<DevelopedPicture> {
  const isBroken = found.kind === 'unknown' || (found.kind === 'undecodable' && !found.isTooHeavy);
  if (isBroken) throw new InvalidInput([{ path: ['file'], code: 'MALFORMED', message: 'is a damaged picture' }]);
  const made: StagedBytes[] = [];
  try {
    const upright = await stageUpright(store, found);
    if (upright !== null) made.push(upright);
    const orientation = found.facts?.orientation ?? 1;
    const clean = upright ?? (await cleanPicture(store, staged, { contentType, orientation }));
    if (clean !== null && clean !== staged && clean !== upright) made.push(clean);
    if (clean === null && (await mayTellPlace(staged, contentType))) {
      return { staged, picture: null, isUnclear: true, note: notes.unclear };
    }
    if (found.kind !== 'decoded') {
      return { staged: clean ?? staged, picture: null, isUnclear: false, note: notes.undecoded };
    }
    const thumbnails = await stageThumbnails(store, found.pixels, made);
    const { width, height } = found.facts;
    const picture = { width, height, blurhash: found.pixels.blurhash, thumbnails };
    return { staged: clean ?? staged, picture, isUnclear: false, note: clean === null ? notes.uncleaned : null };
  } catch (error) {
    await Promise.all(made.map((each) => each.discard()));
    throw error;
  }
}

/** What users read about a picture that could not be processed completely. The database accepts up to 120 characters. */
export const notes = {
  unclear: 'Kept as a plain file, because it may reveal where it was taken and could not be cleaned without damage.',
  undecoded: 'No thumbnails: the picture is too large or too damaged to decode.',
  uncleaned:
    'Kept unchanged, because its metadata could not be removed. No sign of the place where it was taken was found.',
};

/**
 * Returns null if the picture is already upright or can't be rotated. If it can't be rotated, its metadata keeps the
 * orientation.
 */
async function stageUpright(store: FileStore, found: Development): Promise<StagedBytes | null> {
  if (found.kind !== 'decoded' || found.upright === null) return null;
  try {
    return await store.stage(found.upright());
  } catch (error) {
    if (error instanceof PictureTooHeavy) return null;
    throw error;
  }
}

async function stageThumbnails(store: FileStore, { thumbnails }: Pixels, made: StagedBytes[]) {
  const staged: Picture['thumbnails'] = [];
  for (const size of ['SMALL', 'LARGE'] as const) {
    const thumbnail = await store.stage(singly(Buffer.from(thumbnails[size])));
    made.push(thumbnail);
    staged.push({ size, staged: thumbnail });
  }
  return staged;
}

async function* singly(bytes: Buffer) {
  yield bytes;
}
