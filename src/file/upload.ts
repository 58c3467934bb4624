import type { Arrival } from './arrival.ts';
import type { Asker } from '../core/asker.ts';
import type { RateLimits } from '../core/rate-limit.ts';
import { encodeId } from '../core/id.ts';
import { saveFiles, stageFile, type FileStorage, type SharedFile } from './file.ts';
import { fileUrl, type FileLinks } from './file-link.ts';
import type { PartialUploads } from './partial-upload.ts';
import { Upload } from './upload-value.ts';

/** The services that a route needs to receive uploads. */
export type Uploading = { files: FileStorage; partials: PartialUploads; fileLinks: FileLinks; limits: RateLimits };

/**
 * Receives the bytes of a file; see `stageFile`. The caller must pass the result to `saveUploads` or to a mutation.
 * Throws RateLimited if there are too many uploads.
 */
export async function stageUpload(
  { files, limits }: Uploading,
  arrival: Arrival,
  { name, body }: { name: string; body: AsyncIterable<Uint8Array> },
): Promise<Upload> {
  await limits.count('uploads', arrival);
  return new Upload(name, await stageFile(files, arrival, body));
}

/** A file with some fields of GraphQL's `File`, for responses outside GraphQL. */
export type FileAnswer = { id: string; name: string; contentType: string; size: number; url: string; note?: string };

/** Turns all of the uploads into files, or none of them; see `saveFiles`. */
export async function saveUploads(
  uploading: Uploading,
  asker: Asker,
  uploads: readonly Upload[],
): Promise<FileAnswer[]> {
  const files = await saveFiles(uploading.files, asker, { files: uploads, partialId: null });
  return files.map((file) => answerWith(uploading, asker, file));
}

/**
 * Turns a partial upload into a file, or finds the file that it has become. Returns null while the upload is
 * incomplete.
 */
export async function completeUpload(uploading: Uploading, asker: Asker, id: string): Promise<FileAnswer | null> {
  const file = await uploading.partials.complete(asker, id);
  return file === null ? null : answerWith(uploading, asker, file);
}

function answerWith({ fileLinks }: Uploading, asker: Asker, file: SharedFile): FileAnswer {
  const { name, contentType, size, note } = file;
  return {
    id: encodeId('File', file.id),
    name,
    contentType,
    size,
    url: fileUrl(fileLinks, asker, { file, thumbnail: null }),
    ...(note !== null && { note }),
  };
}
