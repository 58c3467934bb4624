import type { StagedBytes } from './file.ts';

/** A file of a multipart request, as the value of a variable: its bytes are staged, but not yet saved as a file. */
export class Upload {
  readonly name: string;
  readonly staged: StagedBytes;

  constructor(name: string, staged: StagedBytes) {
    this.name = name;
    this.staged = staged;
  }
}
