/** The longer side of each thumbnail, in pixels. The thumbnails of a smaller picture have the size of the picture. */
export const thumbnailSides = { SMALL: 160, LARGE: 640 } as const;
/** The sizes of thumbnails. */
export type ThumbnailSize = keyof typeof thumbnailSides;

/** A request to the program that decodes pictures: the path of the file, or its bytes. */
export type PictureJob = { content: Buffer | string };

/**
 * What a file's header says about a picture: the size of one frame as displayed, in pixels; orientation 1 is upright.
 */
export type PictureFacts = { width: number; height: number; orientation: number };

/**
 * The result of decoding. `uprightBytes`: the size in bytes of the picture rotated upright, or null if it was not
 * rotated.
 */
export type Pixels = { blurhash: string; thumbnails: Record<ThumbnailSize, Buffer>; uprightBytes: number | null };

/**
 * The program's answers, in this order: the facts, the pixels, then parts of the upright picture on request. `failed`
 * ends a job: the header can't be read (`unknown`), the pixels can't be decoded (`undecodable`), or there are too many.
 */
export type PictureAnswer =
  | { kind: 'facts'; facts: PictureFacts }
  | { kind: 'pixels'; pixels: Pixels }
  | { kind: 'part'; bytes: Buffer }
  | { kind: 'failed'; reason: 'unknown' | 'undecodable' | 'too many pixels' };

/** How many bytes of an upright picture one message carries. */
export const partBytes = 1024 * 1024;

/** The program exits with this status when it has used too much memory. */
export const tooMuchMemory = 77;
