import { anyText, trueOrFalse, type Setting } from './setting.ts';

/** The settings that determine which documents clients may run. */
export const documentSettings = {
  trustedDocuments: {
    name: 'TRUSTED_DOCUMENTS',
    default: null,
    wants: anyText,
    meaning: 'A file with the documents that clients may refer to by id; see docs/stored-documents.md.',
  },
  trustedDocumentsOnly: {
    name: 'TRUSTED_DOCUMENTS_ONLY',
    default: 'false',
    wants: trueOrFalse,
    meaning: 'Whether clients may run only the documents in TRUSTED_DOCUMENTS.',
  },
} satisfies Record<string, Setting>;
