import { builder } from '../api/builder.ts';
import type { SharedFile } from './shared-file.ts';

export const FileRef = builder.objectRef<SharedFile>('File');

export const FileConnectionRef = builder.connectionObject(
  { type: FileRef, name: 'FileConnection' },
  { name: 'FileEdge' },
);
