import { keepFile, keepFiles, stageFile, type SharedFile } from '../domain/file.ts';
import { InvalidInput } from '../errors.ts';
import { builder } from './builder.ts';
import { requireViewer, type Context } from './context.ts';
import { FileRef, urlOf } from './file.ts';
import { encodeId } from './id.ts';
import { Upload } from './upload-value.ts';

builder.mutationField('uploadFile', (t) =>
  t.field({
    type: FileRef,
    description:
      'Sent as a GraphQL multipart request. The file is its uploader’s alone until a message has it; one that no message has after 24 hours is deleted.',
    errors: { types: [InvalidInput] },
    args: { file: t.arg({ type: 'Upload', required: true }) },
    resolve: (_, { file }, context) => keepFile(context.files, requireViewer(context), file),
  }),
);

/** Takes the bytes of a file in; see `stageFile`. What becomes of them is for `keepUpload` or a mutation to say. */
export async function stageUpload(
  context: Context,
  { name, body }: { name: string; body: AsyncIterable<Uint8Array> },
): Promise<Upload> {
  return new Upload(name, await stageFile(context.files, requireViewer(context), body));
}

/** A file as the contract's `File` has it, for answers outside GraphQL. */
export type FileAnswer = { id: string; name: string; contentType: string; size: number; url: string };

/** Makes files of what came in, all or none; see `keepFiles`. */
export async function keepUploads(context: Context, uploads: readonly Upload[]): Promise<FileAnswer[]> {
  const files = await keepFiles(context.files, requireViewer(context), { files: uploads, partialId: null });
  return files.map((file) => answerWith(context, file));
}

/** Makes a file of an upload that came in pieces, or finds it; null as long as it is not whole. */
export async function completeUpload(context: Context, id: string): Promise<FileAnswer | null> {
  const file = await context.partials.complete(requireViewer(context), id);
  return file === null ? null : answerWith(context, file);
}

function answerWith(context: Context, file: SharedFile): FileAnswer {
  const { name, contentType, size } = file;
  return { id: encodeId('File', file.id), name, contentType, size, url: urlOf(file, null, context) };
}
