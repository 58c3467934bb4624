/** The longer side of each thumbnail, in pixels; a smaller picture's are as large as itself. */
export const thumbnailSides = { SMALL: 160, LARGE: 640 } as const;
export type ThumbnailSize = keyof typeof thumbnailSides;

/** What the program that decodes pictures is asked: what is in that file, or in these bytes. */
export type PictureJob = { content: Buffer | string };

/** What a file's header says of a picture: as it is shown, in pixels, of one frame; 1 is upright. */
export type PictureFacts = { width: number; height: number; orientation: number };

/** What became of the pixels. `uprightBytes`: how many bytes the picture has when turned upright without loss; null: it isn't. */
export type Pixels = { blurhash: string; thumbnails: Record<ThumbnailSize, Buffer>; uprightBytes: number | null };

/**
 * The program's answers, in this order: the facts, the pixels, then parts of the upright picture as they are asked for.
 * `failed` ends a job: the header can't be read (`unknown`), the pixels can't (`undecodable`), or there are too many.
 */
export type PictureAnswer =
  | { kind: 'facts'; facts: PictureFacts }
  | { kind: 'pixels'; pixels: Pixels }
  | { kind: 'part'; bytes: Buffer }
  | { kind: 'failed'; reason: 'unknown' | 'undecodable' | 'too many pixels' };

/** How many bytes of an upright picture one message brings. */
export const partBytes = 1024 * 1024;

/** The program ends itself with this status when it has taken too much memory. */
export const tooMuchMemory = 77;
