import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { forgetHeads } from './forget-heads.ts';
import { encoderFor, type Encoder, type Framing } from './framing.ts';

/**
 * Collects the writes of one turn of the event loop, so that all frames of a connection in that turn are sent in a
 * single write.
 */
export class WriteQueue {
  #dirty: Connection[] = [];

  add(connection: Connection): void {
    this.#dirty.push(connection);
    if (this.#dirty.length === 1) queueMicrotask(() => this.#flush());
  }

  #flush(): void {
    const dirty = this.#dirty;
    this.#dirty = [];
    for (const connection of dirty) connection.flush();
  }
}

/**
 * If no byte arrives for this time, in ms, the kernel probes the client every second, and closes the socket after ten
 * unanswered probes, 15 s after the last byte. The kernel sends probes only while no data is waiting to be
 * acknowledged, so heartbeats are sent less often than that. SilentPeers finds the dead connections on which data is
 * waiting.
 */
const keepAliveMs = 5_000;

/**
 * One open streaming response. It writes directly to the socket. All receivers of a batch share one buffer, without a
 * copy or a header for each receiver, so a delivery is cheaper than with `response.write` (bench/results/).
 */
export class Connection {
  readonly encoder: Encoder;
  /** The address and port of the client. */
  readonly peer: string;
  readonly #response: ServerResponse;
  readonly #socket: Socket;
  readonly #queue: WriteQueue;
  #unflushed: Buffer[] = [];
  #isEnded = false;
  #sentBytes = 0;
  /** When the last byte was written, and when the socket last accepted a byte, in ms of `performance.now()`. */
  lastWriteAt = performance.now();
  #progressAt = performance.now();

  /**
   * Responds with 200 and sends the first bytes immediately. Keeps a `cache-control` header that is already set.
   * `onClose` is called when the socket has closed or the response is complete.
   */
  constructor(options: {
    request: IncomingMessage;
    response: ServerResponse;
    framing: Framing;
    queue: WriteQueue;
    onClose: () => void;
  }) {
    const { request, response, framing, onClose } = options;
    this.encoder = encoderFor(framing, request.httpVersionMinor >= 1);
    this.#response = response;
    this.#socket = request.socket;
    this.peer = `${this.#socket.remoteAddress} ${this.#socket.remotePort}`;
    this.#queue = options.queue;
    const close = () => {
      this.#isEnded = true;
      this.#unflushed = [];
      onClose();
    };
    response.on('close', close);
    // The client may have disconnected while the stream was being prepared, in which case `close` will not be emitted
    // again.
    this.#isEnded = response.closed;
    if (this.#isEnded) process.nextTick(close);
    this.#socket.setNoDelay(true);
    this.#socket.setKeepAlive(true, keepAliveMs);
    this.#socket.setTimeout(0);
    if (!response.hasHeader('cache-control')) response.setHeader('cache-control', 'no-cache, no-transform');
    response.writeHead(200, {
      'content-type': framing.contentType,
      'x-accel-buffering': 'no',
    });
    response.flushHeaders();
    forgetHeads(request, response);
    this.write(this.encoder.encode(framing.opening()));
  }

  get isOpen(): boolean {
    return !this.#isEnded;
  }

  /** The number of bytes in this process that the operating system has not accepted yet. */
  get unsentBytes(): number {
    let bytes = this.#socket.writableLength;
    for (const buffer of this.#unflushed) bytes += buffer.length;
    return bytes;
  }

  /** The number of bytes that the operating system has accepted since the connection was opened. */
  get takenBytes(): number {
    return this.#socket.bytesWritten - this.#socket.writableLength;
  }

  write(buffer: Buffer): void {
    if (this.#isEnded) return;
    this.#unflushed.push(buffer);
    if (this.#unflushed.length === 1) this.#queue.add(this);
  }

  flush(): void {
    const buffers = this.#unflushed;
    if (buffers.length === 0) return;
    this.#unflushed = [];
    this.lastWriteAt = performance.now();
    if (this.#socket.writableLength === 0) this.#progressAt = this.lastWriteAt;
    // Many connections share these buffers, so they are not concatenated. If they were concatenated, each connection
    // would hold its own copy while its reader stalls.
    if (buffers.length > 1) this.#socket.cork();
    for (const buffer of buffers) this.#socket.write(buffer);
    if (buffers.length > 1) this.#socket.uncork();
  }

  /** Writes the pending buffers, and returns whether the operating system has accepted all of them. */
  takesAll(): boolean {
    this.flush();
    return this.#socket.writableLength === 0;
  }

  /** Resolves when the operating system has accepted everything, or when the socket is gone. */
  drained(): Promise<void> {
    this.flush();
    if (this.#isEnded || this.#socket.writableLength === 0) return Promise.resolve();
    // This is an empty write, which is queued after everything that is pending. The code does not use `drain`, because
    // a socket emits it only after its buffer has reached the high-water mark.
    return new Promise((resolve) => this.#socket.write('', () => resolve()));
  }

  /**
   * Ends the response once everything that has been written has been sent. The connection stays open, because a proxy
   * that has received the end may already be sending another request on it.
   */
  end(): void {
    if (this.#isEnded) return;
    this.flush();
    this.#isEnded = true;
    this.#response.end();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  /** How long bytes have been waiting without the socket accepting any, in ms; 0 if no bytes are waiting. */
  stalledMs(now: number): number {
    const sentBytes = this.takenBytes;
    if (sentBytes !== this.#sentBytes || this.#socket.writableLength === 0) {
      this.#sentBytes = sentBytes;
      this.#progressAt = now;
    }
    return now - this.#progressAt;
  }
}
