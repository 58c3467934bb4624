/**
 * The maximum length of each thumbnail's longer side, in pixels. If a picture is smaller, its thumbnails have the size
 * of the picture.
 */
export const thumbnailSides = { SMALL: 160, LARGE: 640 } as const;
/** The sizes of thumbnails. */
export type ThumbnailSize = keyof typeof thumbnailSides;

/** A request to the program that decodes pictures, with the path of the file or its bytes. */
export type PictureJob = { content: Buffer | string };

/**
 * The properties of a picture according to the header of its file: the size of one frame as displayed, in pixels, and
 * the orientation (1 is upright).
 */
export type PictureFacts = { width: number; height: number; orientation: number };

/**
 * The result of decoding. `uprightBytes` is the size in bytes of the picture after it was rotated upright, or null if
 * it was not rotated.
 */
export type Pixels = { blurhash: string; thumbnails: Record<ThumbnailSize, Buffer>; uprightBytes: number | null };

/**
 * The program's answers, in this order: the facts, the pixels, and then, on request, parts of the upright picture.
 * `failed` ends a job if the header can't be read (`unknown`), if the pixels can't be decoded (`undecodable`), or if
 * there are too many pixels.
 */
export type PictureAnswer =
  | { kind: 'facts'; facts: PictureFacts }
  | { kind: 'pixels'; pixels: Pixels }
  | { kind: 'part'; bytes: Buffer }
  | { kind: 'failed'; reason: 'unknown' | 'undecodable' | 'too many pixels' };

/** The maximum number of bytes of an upright picture that one message contains. */
export const partBytes = 1024 * 1024;

/** The exit status of the program when it has used too much memory. */
export const tooMuchMemory = 77;
