import { isUtf8 } from 'node:buffer';

/**
 * The maximum length of a line, in bytes. A message of 10,000 characters takes up to 120,000 bytes if every character
 * is escaped.
 */
const maxLineBytes = 256 * 1024;

/** A line with its number, counted from 1, and either its text or the reason why it cannot be read. */
export type Line = { number: number; text: string; problem: null } | { number: number; text: null; problem: string };

const newline = 0x0a;
const byteOrderMark = '\ufeff';

/**
 * Splits a body into its lines and skips blank lines. Keeps at most one line and one chunk in memory; a line that is
 * longer than `maxLineBytes` is returned without its text. The last line may end without a newline.
 */
export async function* readLines(body: AsyncIterable<Buffer>): AsyncGenerator<Line> {
  const open = new OpenLine();
  for await (const chunk of body) {
    let start = 0;
    for (let end = chunk.indexOf(newline); end !== -1; end = chunk.indexOf(newline, start)) {
      open.add(chunk.subarray(start, end));
      start = end + 1;
      const line = open.close();
      if (line !== null) yield line;
    }
    open.add(chunk.subarray(start));
  }
  const last = open.close();
  if (last !== null) yield last;
}

/** The line that is currently being received. */
class OpenLine {
  #number = 1;
  #pieces: Buffer[] = [];
  #size = 0;

  add(piece: Buffer): void {
    this.#size += piece.length;
    if (this.#size > maxLineBytes) this.#pieces = [];
    else if (piece.length > 0) this.#pieces.push(piece);
  }

  /** Ends the line and returns it, or returns null if the line is blank. */
  close(): Line | null {
    const number = this.#number;
    const line = this.#read(number);
    this.#number += 1;
    this.#pieces = [];
    this.#size = 0;
    return line?.text?.trim() === '' ? null : line;
  }

  #read(number: number): Line {
    if (this.#size > maxLineBytes) return unreadable(number, `is longer than ${maxLineBytes} bytes`);
    const [first] = this.#pieces;
    const bytes = this.#pieces.length === 1 && first !== undefined ? first : Buffer.concat(this.#pieces);
    if (!isUtf8(bytes)) return unreadable(number, 'is not UTF-8');
    const text = bytes.toString('utf8');
    return { number, text: number === 1 && text.startsWith(byteOrderMark) ? text.slice(1) : text, problem: null };
  }
}

function unreadable(number: number, problem: string): Line {
  return { number, text: null, problem };
}
