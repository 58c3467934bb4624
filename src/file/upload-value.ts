import type { StagedBytes } from './file.ts';

/** A file of a multipart request, as variables hold it: its bytes are staged, and belong to no file yet. */
export class Upload {
  readonly name: string;
  readonly staged: StagedBytes;

  constructor(name: string, staged: StagedBytes) {
    this.name = name;
    this.staged = staged;
  }
}
