import type { Arrival } from './arrival.ts';
import type { Asker } from '../core/asker.ts';
import type { RateLimits } from '../core/rate-limit.ts';
import { encodeId } from '../core/id.ts';
import { saveFiles, stageFile, type FileStorage, type SharedFile } from './file.ts';
import { fileUrl, type FileLinks } from './file-link.ts';
import type { PartialUploads } from './partial-upload.ts';
import { Upload } from './upload-value.ts';

/** What takes uploads in, by whichever route they come. */
export type Uploading = { files: FileStorage; partials: PartialUploads; fileLinks: FileLinks; limits: RateLimits };

/** Takes the bytes of a file in; see `stageFile`. Throws RateLimited for too many. What becomes of them is for `keepUpload` or a mutation to say. */
export async function stageUpload(
  { files, limits }: Uploading,
  arrival: Arrival,
  { name, body }: { name: string; body: AsyncIterable<Uint8Array> },
): Promise<Upload> {
  await limits.take('uploads', { userId: arrival.asker.userId });
  return new Upload(name, await stageFile(files, arrival, body));
}

/** A file as the contract's `File` has it, for answers outside GraphQL. */
export type FileAnswer = { id: string; name: string; contentType: string; size: number; url: string; note?: string };

/** Makes files of what came in, all or none; see `saveFiles`. */
export async function saveUploads(
  uploading: Uploading,
  asker: Asker,
  uploads: readonly Upload[],
): Promise<FileAnswer[]> {
  const files = await saveFiles(uploading.files, asker, { files: uploads, partialId: null });
  return files.map((file) => answerWith(uploading, asker, file));
}

/** Makes a file of an upload that came in pieces, or finds it; null as long as it is not whole. */
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
