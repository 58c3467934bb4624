import type { StagedBytes } from './file.ts';

/** A file of a multipart request, as variables hold it: its bytes have come in, and are nowhere yet. */
export class Upload {
  readonly name: string;
  readonly staged: StagedBytes;

  constructor(name: string, staged: StagedBytes) {
    this.name = name;
    this.staged = staged;
  }
}
