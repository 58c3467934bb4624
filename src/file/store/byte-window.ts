import { open, type FileHandle } from 'node:fs/promises';
import type { StagedBytes } from './store.ts';

const windowBytes = 64 * 1024;

/** Gives random access to bytes with few reads, and never holds more than 64 KiB of a file in memory. */
export class ByteWindow implements AsyncDisposable {
  /** The size of the whole content in bytes. */
  readonly size: number;
  readonly #file: FileHandle | null;
  readonly #buffer: Buffer;
  /** The range of the content that the buffer holds. */
  #start = 0;
  #length: number;

  /** Opens a window on content in memory, or on the file at that path. */
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

  /**
   * Returns `size` bytes (at most 64 KiB) from `position` on, or fewer at the end of the content. The next call may
   * overwrite the returned bytes.
   */
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
