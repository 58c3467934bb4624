import type { Batch } from '../../live/delivery.ts';

/** A wire format for results. Each string is self-contained, so a heartbeat may come between any two strings. */
export type Framing = {
  contentType: string;
  /**
   * Created separately for each stream, and sent immediately, because Firefox and Safari consider a stream open once
   * its first byte arrives.
   */
  opening: () => string;
  heartbeat: string;
  next: (payload: string, cursor: string | null) => string;
  complete: string;
};

/**
 * How long an EventSource waits before it reconnects, in ms. The time varies, so that clients that lost their
 * connections at the same time do not all reconnect at once.
 */
const retryMs = { least: 1_000, most: 5_000 };

function printRetry(): string {
  return `:\nretry: ${Math.round(retryMs.least + Math.random() * (retryMs.most - retryMs.least))}\n\n`;
}

/**
 * The format of graphql-sse in distinct connections mode. A single data line is enough, because JSON has no raw line
 * breaks. `complete` needs an empty data line, because an EventSource would not fire the event without it. An
 * EventSource sends the last `id` as Last-Event-ID when it reconnects.
 * https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md,
 * https://html.spec.whatwg.org/multipage/server-sent-events.html
 */
export const eventStream: Framing = {
  contentType: 'text/event-stream; charset=utf-8',
  opening: () => `:\n\n${printRetry()}`,
  heartbeat: ':\n\n',
  next: (payload, cursor) => `${printId(cursor)}event: next\ndata: ${payload}\n\n`,
  complete: 'event: complete\ndata:\n\n',
};

/** Formats a result of one of a stream's operations, for single connection mode. */
export function printNext(operationId: string, payload: string, cursor: string | null): string {
  return `${printId(cursor)}event: next\ndata: {"id":${JSON.stringify(operationId)},"payload":${payload}}\n\n`;
}

function printId(cursor: string | null): string {
  return cursor === null ? '' : `id: ${cursor}\n`;
}

/** Formats the end of one of a stream's operations, for single connection mode. */
export function printComplete(operationId: string): string {
  return `event: complete\ndata: {"id":${JSON.stringify(operationId)}}\n\n`;
}

/**
 * The format of Apollo's multipart subscription protocol. Each part is a JSON object with the result as its `payload`,
 * and `{}` is the heartbeat.
 * https://www.apollographql.com/docs/graphos/routing/operations/subscriptions/multipart-protocol
 */
export const multipart: Framing = {
  contentType: 'multipart/mixed;boundary="graphql";subscriptionSpec="1.0"',
  opening: () => '\r\n--graphql',
  heartbeat: '\r\ncontent-type: application/json\r\n\r\n{}\r\n--graphql',
  next: (payload) => `\r\ncontent-type: application/json\r\n\r\n{"payload":${payload}}\r\n--graphql`,
  complete: '--\r\n',
};

/**
 * Encodes frames according to the response's HTTP version: in chunks for HTTP/1.1 (RFC 9112, 7.1), and unchanged for
 * HTTP/1.0 (nginx's default). The chunks are encoded here instead of in `response.write`, so that the bytes of a batch
 * are created only once. The same buffer is then written to every receiver's socket.
 */
export class Encoder {
  readonly framing: Framing;
  readonly #isChunked: boolean;
  readonly heartbeat: Buffer;

  constructor(framing: Framing, isChunked: boolean) {
    this.framing = framing;
    this.#isChunked = isChunked;
    this.heartbeat = this.encode(framing.heartbeat);
  }

  encode(text: string): Buffer {
    if (!this.#isChunked) return Buffer.from(text);
    return Buffer.from(`${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`);
  }

  /** Returns all renderings of the batch in a single buffer, which all receivers with this encoder share. */
  encodeBatch(batch: Batch): Buffer {
    let buffer = batch.encodings.get(this);
    if (buffer === undefined) {
      buffer = this.encode(batch.renderings.map(({ payload, cursor }) => this.framing.next(payload, cursor)).join(''));
      batch.encodings.set(this, buffer);
    }
    return buffer;
  }
}

const encoders = new Map<Framing, { chunked: Encoder; plain: Encoder }>();

/** Returns the encoder that all streams with this framing and transfer encoding share. */
export function encoderFor(framing: Framing, isChunked: boolean): Encoder {
  let pair = encoders.get(framing);
  if (pair === undefined) {
    pair = { chunked: new Encoder(framing, true), plain: new Encoder(framing, false) };
    encoders.set(framing, pair);
  }
  return isChunked ? pair.chunked : pair.plain;
}
