import { fileUrl, maxFileUrlBytes } from './file-link.ts';
import { maxFileNameLength } from './file-name.ts';
import { FileConnectionRef, FileRef } from './file.ref.ts';
import { MessageRef } from '../message/message.ref.ts';
import { ChatRef } from '../chat/chat.ref.ts';
import { findVisibleFiles, maxFiles, type SharedFile } from './file.ts';
import { chatFilesIn, filesOf } from './file-loader.ts';
import { lists, readPage } from '../postgres/page.ts';
import { thumbnailSides, type ThumbnailSize } from './picture.ts';
import { builder } from '../api/builder.ts';
import { asciiSize, textSize } from '../api/field-size.ts';
import { pageComplexity, toConnection } from '../api/connection.ts';
import { requireAsker, type Context } from '../api/context.ts';
import { registerNode } from '../api/node.ts';

const ThumbnailSizeRef = builder.enumType('ThumbnailSize', {
  values: {
    SMALL: { description: `Fits into ${thumbnailSides.SMALL} by ${thumbnailSides.SMALL} pixels.` },
    LARGE: { description: `Fits into ${thumbnailSides.LARGE} by ${thumbnailSides.LARGE} pixels.` },
  },
});

builder.node(FileRef, {
  id: { resolve: ({ id }) => String(id) },
  fields: (t) => ({
    name: t.exposeString('name', {
      extensions: textSize(maxFileNameLength),
      description: `One line of 1 to ${maxFileNameLength} characters, without a path.`,
    }),
    contentType: t.exposeString('contentType', {
      extensions: asciiSize(128),
      description: 'Detected from the content of the file; the type that the uploader declares is ignored.',
    }),
    size: t.exposeInt('size', { description: 'In bytes.' }),
    url: t.string({
      extensions: asciiSize(maxFileUrlBytes),
      description:
        "A signed link, relative to the server's address. The link works for 23 to 24 hours, provided that the viewer may still see the file and the session that requested the link has not ended. Supports Range requests.",
      resolve: (file, _, context) => urlOf(context, file, null),
    }),
    width: t.exposeInt('width', { nullable: true, description: 'In pixels; null if the file is not a picture.' }),
    height: t.exposeInt('height', { nullable: true, description: 'In pixels; null if the file is not a picture.' }),
    blurhash: t.exposeString('blurhash', {
      extensions: asciiSize(128),
      nullable: true,
      description:
        'A placeholder that you can show while the picture loads (https://blurha.sh); null if the file is not a picture.',
    }),
    note: t.exposeString('note', {
      nullable: true,
      extensions: asciiSize(120),
      description:
        'A sentence that tells the uploader what went wrong: why the file has no thumbnails, why a picture is treated as a plain file, or that the metadata could not be removed. Null if there is nothing to report.',
    }),
    thumbnailUrl: t.string({
      extensions: asciiSize(maxFileUrlBytes),
      nullable: true,
      description: 'A link, like `url`, to a smaller WebP version of the picture; null if there is none (see `note`).',
      args: { size: t.arg({ type: ThumbnailSizeRef, required: true }) },
      resolve: (file, { size }, context) => (file.width === null ? null : urlOf(context, file, size)),
    }),
  }),
});

registerNode('File', async (context, keys) => {
  const files = await findVisibleFiles(context.db, requireAsker(context), keys.map(BigInt));
  return new Map(files.map((file) => [String(file.id), file]));
});

builder.prismaObjectField(MessageRef, 'files', (t) =>
  t.field({
    type: [FileRef],
    complexity: { field: 1, multiplier: maxFiles },
    resolve: ({ id, fileCount }, _, { loaders }) => (fileCount === 0 ? [] : loaders.of(filesOf).load(id)),
  }),
);

builder.prismaObjectField(ChatRef, 'files', (t) =>
  t.field({
    type: FileConnectionRef,
    description:
      'The files of all messages that the viewer can see, in the order of the messages; `last: 50` returns the newest page.',
    args: t.arg.connectionArgs(),
    complexity: pageComplexity,
    resolve: async (chat, args, context) => {
      const reader = { chatId: chat.id, asker: requireAsker(context) };
      const page = await context.loaders.ofPage(chatFilesIn, readPage(args, lists.files)).load(reader);
      return toConnection(lists.files, page, ({ seq, place }) => [seq, place]);
    },
  }),
);

function urlOf(context: Context, file: SharedFile, thumbnail: ThumbnailSize | null): string {
  return fileUrl(context.fileLinks, requireAsker(context), { file, thumbnail });
}
