import type { StagedBytes } from './file.ts';

/** A file of a multipart request, used as the value of a variable. Its bytes are staged but not yet saved as a file. */
export class Upload {
  readonly name: string;
  readonly staged: StagedBytes;

  constructor(name: string, staged: StagedBytes) {
    this.name = name;
    this.staged = staged;
  }
}
