import { connect, type Socket } from 'node:net';

const marker = Buffer.from('event: next');
const frameEnd = Buffer.from('\n\n');
const seqField = Buffer.from('"seq":');
const caughtUp = Buffer.from('"CaughtUp"');
const ok = Buffer.from('HTTP/1.1 200');
const newline = 0x0a;

// All sockets share one buffer, because each read is processed before the next one begins.
const shared = Buffer.allocUnsafe(1024 * 1024);

/** The callbacks of a reader. */
export type ReaderEvents = {
  /** The response has begun. */
  onOpen: (reader: Reader) => void;
  onMessage: (reader: Reader, seq: number) => void;
  /** `frame` is valid until this callback returns. */
  onCaughtUp: (reader: Reader, frame: () => string) => void;
  onClose: (reader: Reader, reason: string) => void;
};

/**
 * A subscriber that is as cheap as possible, so that the benchmark measures the servers. It searches the bytes from a
 * raw socket for frames. The reader parses only the message's seq from a frame. The seq must increase by one each time,
 * unless `isUnordered`.
 */
export class Reader {
  readonly index: number;
  lastSeq: number | null = null;
  lateCount = 0;
  bytes = 0;
  readonly #events: ReaderEvents;
  readonly #isUnordered: boolean;
  readonly #socket: Socket;
  #isOpen = false;
  #rest: Buffer | null = null;

  constructor(options: { index: number; port: number; request: string; isUnordered: boolean; events: ReaderEvents }) {
    this.index = options.index;
    this.#events = options.events;
    this.#isUnordered = options.isUnordered;
    this.#socket = connect({
      port: options.port,
      host: '127.0.0.1',
      noDelay: true,
      onread: {
        buffer: shared,
        callback: (length, buffer) => {
          this.#read(buffer as Buffer, length);
          return true;
        },
      },
    });
    this.#socket.on('connect', () => this.#socket.write(options.request));
    this.#socket.on('error', (error) => this.#events.onClose(this, error.message));
    this.#socket.on('close', () => this.#events.onClose(this, 'the server closed the stream'));
  }

  close(): void {
    this.#socket.removeAllListeners('close');
    this.#socket.destroy();
  }

  #read(buffer: Buffer, length: number): void {
    this.bytes += length;
    let data = buffer.subarray(0, length);
    if (!this.#isOpen) {
      if (!data.subarray(0, ok.length).equals(ok)) {
        this.#events.onClose(this, data.toString('utf8', 0, 500));
        return;
      }
      this.#isOpen = true;
      this.#events.onOpen(this);
    }
    if (this.#rest !== null) data = Buffer.concat([this.#rest, data]);
    this.#rest = null;
    const readTo = this.#readFrames(data);
    if (readTo < data.length) this.#rest = Buffer.from(data.subarray(readTo));
  }

  /** Returns how far the bytes have been searched; the beginning of an incomplete frame may follow that position. */
  #readFrames(data: Buffer): number {
    let end = 0;
    for (;;) {
      const start = data.indexOf(marker, end);
      // A marker that is split between two reads begins after the last newline.
      if (start === -1) return Math.max(end, data.lastIndexOf(newline) + 1);
      end = data.indexOf(frameEnd, start);
      if (end === -1) return start;
      this.#readFrame(data, start, end);
    }
  }

  #notice(seq: number, lastSeq: number): void {
    if (!this.#isUnordered) this.#events.onClose(this, `message ${seq} came after ${lastSeq}`);
    else if (seq < lastSeq) this.lateCount += 1;
  }

  #readFrame(data: Buffer, start: number, end: number): void {
    const at = data.indexOf(seqField, start);
    if (at === -1 || at > end) {
      const isCaughtUp = data.subarray(start, end).includes(caughtUp);
      if (isCaughtUp) this.#events.onCaughtUp(this, () => data.toString('utf8', start, end));
      return;
    }
    const seq = readNumber(data, at + seqField.length);
    if (this.lastSeq !== null && seq !== this.lastSeq + 1) this.#notice(seq, this.lastSeq);
    this.lastSeq = Math.max(seq, this.lastSeq ?? seq);
    this.#events.onMessage(this, seq);
  }
}

function readNumber(data: Buffer, start: number): number {
  let number = 0;
  for (let index = start; ; index += 1) {
    const digit = (data[index] ?? 0) - 0x30;
    if (digit < 0 || digit > 9) return number;
    number = number * 10 + digit;
  }
}
