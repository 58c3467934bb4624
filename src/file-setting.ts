import { z } from 'zod';
import { maxInlineBytes } from './file/store/inline.ts';
import { parseS3Location } from './file/store/s3-location.ts';
import { parsedBy, wholeNumber, type Setting } from './setting.ts';

const s3Location = parsedBy(parseS3Location).describe(
  's3://bucket, with ?endpoint=, public-endpoint=, region=, prefix= and path-style= where needed',
);

/** The settings for files, which are a subset of the settings in config.ts. */
export const fileSettings = {
  fileStore: {
    name: 'FILE_STORE',
    default: null,
    wants: s3Location,
    meaning: 'An S3 or S3-compatible bucket for files. Default: DATA_DIR.',
    isSecret: true,
  },
  fileServing: {
    name: 'FILE_SERVING',
    default: 'stream',
    wants: z.enum(['stream', 'redirect']).describe('stream or redirect'),
    meaning: 'How files in S3 are served: streamed through this server, or by redirecting to a presigned link.',
  },
  fileInlineBytes: {
    name: 'FILE_INLINE_BYTES',
    // Files up to this size upload about five times as fast when they are inline, and download just as fast. At 64 KiB,
    // uploads are still twice as fast but downloads are slower (measured with 64 users and 2,000 files).
    default: '16384',
    wants: wholeNumber(0, maxInlineBytes),
    meaning: 'Files up to this size are stored in the database, which is faster. 0 stores no files there.',
  },
  maxUploadBytes: {
    name: 'MAX_UPLOAD_BYTES',
    default: '104857600',
    wants: wholeNumber(1, 2_147_483_647),
    meaning: 'The maximum size of a file, in bytes.',
  },
  userQuotaBytes: {
    name: 'USER_QUOTA_BYTES',
    default: '10737418240',
    wants: wholeNumber(0, 1_000_000_000_000_000),
    meaning:
      "The maximum total size of a person's files, in bytes. Deleting a message frees the space that its files used.",
  },
} satisfies Record<string, Setting>;
