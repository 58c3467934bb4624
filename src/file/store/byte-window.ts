import { open, type FileHandle } from 'node:fs/promises';
import type { StagedBytes } from './store.ts';

const windowBytes = 64 * 1024;

/** Looks at bytes here and there, with few reads, and without ever having much of a file in memory. */
export class ByteWindow implements AsyncDisposable {
  /** Of all there is. */
  readonly size: number;
  readonly #file: FileHandle | null;
  readonly #buffer: Buffer;
  /** What is in the buffer. */
  #start = 0;
  #length: number;

  /** On what is in memory, or in the file with that path. */
  static async open(content: StagedBytes['content']): Promise<ByteWindow> {
    if (typeof content !== 'string') return new ByteWindow(null, content.length, content);
    const file = await open(content);
    return new ByteWindow(file, (await file.stat()).size, Buffer.alloc(windowBytes));
  }

  private constructor(file: FileHandle | null, size: number, buffer: Buffer) {
    this.#file = file;
    this.size = size;
    this.#buffer = buffer;
    this.#length = file === null ? size : 0;
  }

  /** So many bytes from there on (64 KiB at most), or fewer where they end. Good until the next call. */
  async look(position: number, size: number): Promise<Buffer> {
    const isThere = position >= this.#start && position + size <= this.#start + this.#length;
    if (this.#file !== null && !isThere) {
      const { bytesRead } = await this.#file.read(this.#buffer, 0, windowBytes, position);
      this.#start = position;
      this.#length = bytesRead;
    }
    const from = position - this.#start;
    return this.#buffer.subarray(from, Math.min(from + size, this.#length));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file?.close();
  }
}
