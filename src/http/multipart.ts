import type { IncomingMessage } from 'node:http';
import { readMediaType } from './media-type.ts';

/** A part of a multipart/form-data body (RFC 7578). Read `body` before you ask for the next part. */
export type Part = { name: string; fileName: string | null; body: AsyncIterable<Buffer> };

/** The body does not match its content type, or ends early. */
export class BadMultipart extends Error {}

const maxHeaderBytes = 32 * 1024;
const maxParts = 100;

/**
 * Returns the boundary in a multipart/form-data content type (RFC 2046, 5.1.1), or null if the type is different or the
 * boundary is invalid.
 */
export function readBoundary(contentType: string | undefined): string | null {
  const { type, parameters } = readMediaType(contentType);
  const boundary = parameters.get('boundary') ?? '';
  const isGood = type === 'multipart/form-data' && boundary !== '' && boundary.length <= 70;
  return isGood ? boundary : null;
}

/**
 * Yields the parts of a body as they arrive. Nothing is read ahead, so an unread part puts back-pressure on the sender.
 * If the body of a part is not read, it is skipped. Throws BadMultipart if the body is malformed, ends early or has too
 * many parts. If the caller stops midway, the rest of the request is left unread.
 */
export async function* readParts(request: IncomingMessage, boundary: string): AsyncGenerator<Part> {
  const reader = new Reader(request);
  // The first delimiter need not follow a line break, so one is added to make all delimiters alike.
  const delimiter = Buffer.from(`\r\n--${boundary}`);
  try {
    await drain(reader.until(delimiter));
    for (let count = 0; !(await isLast(reader)); count += 1) {
      if (count === maxParts) throw new BadMultipart(`The form has more than ${maxParts} parts.`);
      const { name, fileName } = readHeaders(await readHeaderBlock(reader));
      const body = reader.until(delimiter);
      yield { name, fileName, body };
      await drain(body);
    }
  } finally {
    await reader.close();
  }
}

/** Reads the text of a part, which may have at most `maxBytes`. Throws BadMultipart if the part is longer. */
export async function readText({ name, body }: Part, maxBytes: number): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.length;
    if (size > maxBytes) throw new BadMultipart(`The field ${JSON.stringify(name)} is larger than ${maxBytes} bytes.`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** Reads the bytes of a request up to a delimiter, which may be split across chunks at any point. */
class Reader {
  readonly #source: AsyncIterableIterator<Buffer>;
  #buffer: Buffer = Buffer.from('\r\n');

  constructor(request: IncomingMessage) {
    this.#source = request.iterator({ destroyOnReturn: false }) as AsyncIterableIterator<Buffer>;
  }

  /** Stops reading, and leaves the request open. */
  async close(): Promise<void> {
    await this.#source.return?.();
  }

  /** Yields the bytes before the delimiter, and consumes the delimiter as well. */
  async *until(delimiter: Buffer): AsyncGenerator<Buffer> {
    for (;;) {
      const found = this.#buffer.indexOf(delimiter);
      if (found !== -1) {
        const rest = this.#buffer.subarray(0, found);
        this.#buffer = this.#buffer.subarray(found + delimiter.length);
        if (rest.length > 0) yield rest;
        return;
      }
      const kept = overlapOf(this.#buffer, delimiter);
      const sure = this.#buffer.subarray(0, this.#buffer.length - kept);
      this.#buffer = this.#buffer.subarray(sure.length);
      if (sure.length > 0) yield sure;
      await this.#fill();
    }
  }

  async take(size: number): Promise<Buffer> {
    while (this.#buffer.length < size) await this.#fill();
    const taken = this.#buffer.subarray(0, size);
    this.#buffer = this.#buffer.subarray(size);
    return taken;
  }

  async #fill(): Promise<void> {
    const next = await this.#source.next();
    if (next.done === true) throw new BadMultipart('The body ends before the form does.');
    this.#buffer = this.#buffer.length === 0 ? next.value : Buffer.concat([this.#buffer, next.value]);
  }
}

/**
 * Returns how many of the last bytes may be the start of the delimiter. There are rarely any, so most chunks are passed
 * on whole and without a copy.
 */
function overlapOf(bytes: Buffer, delimiter: Buffer): number {
  const first = delimiter[0] ?? 0;
  for (let start = Math.max(0, bytes.length - delimiter.length + 1); ; start += 1) {
    start = bytes.indexOf(first, start);
    if (start === -1) return 0;
    const size = bytes.length - start;
    if (bytes.compare(delimiter, 0, size, start) === 0) return size;
  }
}

/**
 * Reads what follows a delimiter, and returns whether it was the last one: `--` follows the last delimiter, and a line
 * break precedes another part.
 */
async function isLast(reader: Reader): Promise<boolean> {
  const mark = (await reader.take(2)).toString('latin1');
  if (mark === '--') return true;
  if (mark !== '\r\n') throw new BadMultipart('A boundary must be followed by a line break.');
  return false;
}

const endOfHeaders = Buffer.from('\r\n\r\n');

async function readHeaderBlock(reader: Reader): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of reader.until(endOfHeaders)) {
    size += chunk.length;
    if (size > maxHeaderBytes) throw new BadMultipart('The headers of a part are too long.');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function readHeaders(block: string): { name: string; fileName: string | null } {
  const disposition = block.split('\r\n').find((line) => /^content-disposition:/i.test(line)) ?? '';
  const parameters = readParameters(disposition);
  const name = parameters.get('name');
  if (name === undefined || !/^content-disposition: *form-data *;/i.test(disposition)) {
    throw new BadMultipart('A part has no name.');
  }
  const fileName = parameters.get('filename*') ?? parameters.get('filename') ?? null;
  return { name, fileName };
}

/**
 * Reads parameters of the forms `; key=token` and `; key="quoted"`. In a quoted value, browsers write a quote as %22,
 * and other clients put a backslash before it.
 */
function readParameters(header: string): Map<string, string> {
  const found = header.matchAll(/; *([a-z*]+)=(?:"((?:[^"\\]|\\.)*)"|([^;\s]*))/gis);
  return new Map(
    [...found].map(([, key = '', quoted, token = '']) => {
      if (key.toLowerCase() === 'filename*') return ['filename*', decodeExtended(quoted ?? token)];
      const value = quoted?.replaceAll(/\\(["\\])/g, '$1').replaceAll('%22', '"') ?? token;
      return [key.toLowerCase(), value];
    }),
  );
}

/** RFC 8187: `UTF-8''percent-encoded`. */
function decodeExtended(value: string): string {
  const encoded = value.replace(/^utf-8'[^']*'/i, '');
  try {
    return decodeURIComponent(encoded);
  } catch {
    return encoded;
  }
}

async function drain(body: AsyncIterable<Buffer>): Promise<void> {
  const iterator = body[Symbol.asyncIterator]();
  while ((await iterator.next()).done !== true);
}
