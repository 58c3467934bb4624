import { builder } from '../api/builder.ts';
import type { SharedFile } from './shared-file.ts';

/** The GraphQL type `File`, without its fields. */
export const FileRef = builder.objectRef<SharedFile>('File');

/** A page of files. */
export const FileConnectionRef = builder.connectionObject(
  { type: FileRef, name: 'FileConnection' },
  { name: 'FileEdge' },
);
