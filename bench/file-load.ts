import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { isWhole } from './raw-http.ts';
import { serve } from './remote.ts';

/**
 * How many files to send, how many per request, and over how many persistent connections. Each connection belongs to
 * one user.
 */
export type Uploading = {
  port: number;
  tokens: string[];
  count: number;
  perRequest: number;
  fileBytes: number;
  connections: number;
};
/** Which files to read, and on how many connections. */
export type Downloading = { port: number; urls: string[]; connections: number };
/** How long the transfer took, in ms, how many bytes were moved, and the URLs of the files. */
export type Moved = { ms: number; bytes: number; urls: string[] };

/** Sends and reads files, in a separate process that does as little as possible. */
const methods = {
  /** Uploads files whose content the server has not seen. Resolves when the last upload is acknowledged. */
  async upload({ port, tokens, count, perRequest, fileBytes, connections }: Uploading): Promise<Moved> {
    const urls: string[] = [];
    const ms = await inTurn(port, connections, count / perRequest, async (connection, _, place) => {
      const token = tokens[place % tokens.length] ?? '';
      const answer = await connection.send(describeUpload(token, perRequest, fileBytes));
      if (!answer.startsWith('HTTP/1.1 201')) throw new Error(`the upload was refused: ${answer.slice(0, 500)}`);
      const { files } = JSON.parse(/\{.*\}/s.exec(answer)?.[0] ?? '') as { files: { url: string }[] };
      urls.push(...files.map(({ url }) => url));
    });
    return { ms, bytes: count * fileBytes, urls };
  },

  /** Reads each file to its end. */
  async download({ port, urls, connections }: Downloading): Promise<Moved> {
    let bytes = 0;
    const ms = await inTurn(port, connections, urls.length, async (connection, index) => {
      const size = await connection.read(`GET ${urls[index]} HTTP/1.1\r\nhost: localhost\r\n\r\n`);
      // Reads `bytes` only after the await, because other connections add to it in the meantime.
      bytes += size;
    });
    return { ms, bytes, urls };
  },
};

/** The methods that another process can call in this process. */
export type FileLoadMethods = typeof methods;

/** Runs `work` `count` times, one run at a time on each connection. Returns how long this took, in ms. */
async function inTurn(
  port: number,
  connections: number,
  count: number,
  work: (connection: Connection, index: number, place: number) => Promise<void>,
): Promise<number> {
  const opened = await Promise.all(Array.from({ length: connections }, () => Connection.open(port)));
  let next = 0;
  const startedAt = performance.now();
  await Promise.all(
    opened.map(async (connection, place) => {
      while (next < count) await work(connection, next++, place);
    }),
  );
  const ms = performance.now() - startedAt;
  for (const connection of opened) connection.close();
  return ms;
}

const boundary = 'a-boundary-as-long-as-a-browsers';
const filling = randomBytes(256 * 1024);

/** Yields an upload request in pieces. The same bytes are repeated, except at the beginning of each file. */
function* describeUpload(token: string, files: number, fileBytes: number): Generator<string | Buffer> {
  const head = `--${boundary}\r\ncontent-disposition: form-data; name="file"; filename="file.bin"\r\n\r\n`;
  const end = `--${boundary}--\r\n`;
  yield [
    'POST /api/upload HTTP/1.1',
    'host: localhost',
    `authorization: Bearer ${token}`,
    `content-type: multipart/form-data; boundary=${boundary}`,
    `content-length: ${files * (head.length + fileBytes + 2) + end.length}`,
    '\r\n',
  ].join('\r\n');
  for (let file = 0; file < files; file += 1) {
    const first = randomBytes(16);
    yield head;
    yield first;
    for (let left = fileBytes - first.length; left > 0; left -= filling.length) {
      yield left < filling.length ? filling.subarray(0, left) : filling;
    }
    yield '\r\n';
  }
  yield end;
}

/** A connection for one request at a time. It parses no more of a response than necessary. */
class Connection {
  readonly #socket: Socket;
  #onData: (bytes: Buffer) => void = () => undefined;
  #onError: (error: Error) => void = () => undefined;

  static async open(port: number): Promise<Connection> {
    const connection = new Connection(port);
    await once(connection.#socket, 'connect');
    return connection;
  }

  private constructor(port: number) {
    const buffer = Buffer.alloc(256 * 1024);
    const callback = (size: number) => {
      this.#onData(buffer.subarray(0, size));
      return true;
    };
    this.#socket = connect({ port, host: '127.0.0.1', noDelay: true, onread: { buffer, callback } });
    this.#socket.on('error', (error) => this.#onError(error));
    this.#socket.on('close', () => this.#onError(new Error('the server has hung up')));
  }

  close(): void {
    this.#socket.end();
  }

  /** Sends the request and returns the whole response. */
  async send(pieces: Iterable<string | Buffer>): Promise<string> {
    let answer = '';
    const answered = new Promise<string>((resolve, reject) => {
      this.#onError = reject;
      this.#onData = (bytes) => {
        answer += bytes.toString('latin1');
        if (isWhole(answer, answer.length)) resolve(answer);
      };
    });
    // The cork combines each small piece with the next one.
    this.#socket.cork();
    let corked = 0;
    for (const piece of pieces) {
      corked += piece.length;
      const isTaken = this.#socket.write(piece);
      if (isTaken || corked < filling.length) continue;
      this.#socket.uncork();
      if (this.#socket.writableNeedDrain) await Promise.race([this.#drained(), answered]);
      this.#socket.cork();
      corked = 0;
    }
    this.#socket.uncork();
    return answered;
  }

  /** Sends the request and returns the number of bytes of content in the response. */
  read(request: string): Promise<number> {
    return new Promise((resolve, reject) => {
      let head: string | null = '';
      let length = 0;
      let left = 0;
      this.#onError = reject;
      this.#onData = (bytes) => {
        if (head === null) left -= bytes.length;
        else {
          head += bytes.toString('latin1');
          const end = head.indexOf('\r\n\r\n');
          if (end === -1) return;
          if (!head.startsWith('HTTP/1.1 200'))
            return reject(new Error(`the download was refused: ${head.slice(0, 500)}`));
          length = Number(/^content-length: (\d+)/im.exec(head)?.[1]);
          left = length - (head.length - end - 4);
          head = null;
        }
        if (left === 0) resolve(length);
      };
      this.#socket.write(request);
    });
  }

  #drained(): Promise<void> {
    return new Promise((resolve) => this.#socket.once('drain', resolve));
  }
}

serve(methods);
