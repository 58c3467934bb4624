import { builder } from '../api/builder.ts';
import { requireAsker } from '../api/context.ts';
import { InvalidInput } from '../errors.ts';
import { saveFile } from './file.ts';
import { FileRef } from './file.ref.ts';
import { defineFeature } from '../api/feature.ts';

defineFeature('FILES');

builder.mutationField('uploadFile', (t) =>
  t.field({
    type: FileRef,
    description:
      'Send the file as a GraphQL multipart request. Only the uploader can see the file until it is used in a message or as an avatar. If it stays unused for 24 hours, it is deleted.',
    errors: { types: [InvalidInput] },
    args: { file: t.arg({ type: 'Upload', required: true }) },
    resolve: (_, { file }, context) => saveFile(context.files, requireAsker(context), file),
  }),
);
