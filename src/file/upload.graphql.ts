import { builder } from '../api/builder.ts';
import { requireAsker } from '../api/context.ts';
import { InvalidInput } from '../errors.ts';
import { keepFile } from './file.ts';
import { FileRef } from './file.ref.ts';

builder.mutationField('uploadFile', (t) =>
  t.field({
    type: FileRef,
    description:
      'Sent as a GraphQL multipart request. The file is its uploader’s alone until a message has it; one that no message has after 24 hours is deleted.',
    errors: { types: [InvalidInput] },
    args: { file: t.arg({ type: 'Upload', required: true }) },
    resolve: (_, { file }, context) => keepFile(context.files, requireAsker(context), file),
  }),
);
