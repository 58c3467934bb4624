import type { Batch } from '../../live/delivery.ts';

/** The wire format of results. Each string is complete in itself, so a heartbeat may stand between any two others. */
export type Framing = {
  contentType: string;
  /**
   * Sent immediately, and made separately for each stream: Firefox and Safari report a stream as open at its first
   * byte.
   */
  opening: () => string;
  heartbeat: string;
  next: (payload: string, cursor: string | null) => string;
  complete: string;
};

/**
 * How long an EventSource waits before it reconnects, in ms. It varies, so that clients that were cut off together do
 * not all reconnect at the same time.
 */
const retryMs = { least: 1_000, most: 5_000 };

function printRetry(): string {
  return `:\nretry: ${Math.round(retryMs.least + Math.random() * (retryMs.most - retryMs.least))}\n\n`;
}

/**
 * graphql-sse, distinct connections mode. One data line is enough (JSON has no raw line breaks). `complete` needs its
 * empty data line, or an EventSource would not fire it. An EventSource sends the `id` back as Last-Event-ID.
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

/** Single connection mode: prints a result of one of the stream's operations. */
export function printNext(operationId: string, payload: string, cursor: string | null): string {
  return `${printId(cursor)}event: next\ndata: {"id":${JSON.stringify(operationId)},"payload":${payload}}\n\n`;
}

function printId(cursor: string | null): string {
  return cursor === null ? '' : `id: ${cursor}\n`;
}

/** Single connection mode: prints the end of one of the stream's operations. */
export function printComplete(operationId: string): string {
  return `event: complete\ndata: {"id":${JSON.stringify(operationId)}}\n\n`;
}

/**
 * Apollo's multipart subscription protocol: each part is a JSON object with the result as its `payload`; `{}` is the
 * heartbeat. https://www.apollographql.com/docs/graphos/routing/operations/subscriptions/multipart-protocol
 */
export const multipart: Framing = {
  contentType: 'multipart/mixed;boundary="graphql";subscriptionSpec="1.0"',
  opening: () => '\r\n--graphql',
  heartbeat: '\r\ncontent-type: application/json\r\n\r\n{}\r\n--graphql',
  next: (payload) => `\r\ncontent-type: application/json\r\n\r\n{"payload":${payload}}\r\n--graphql`,
  complete: '--\r\n',
};

/**
 * Encodes frames for the response's HTTP version: HTTP/1.1 in chunks (RFC 9112, 7.1), HTTP/1.0 (nginx's default)
 * unchanged. It encodes the chunks here, not through `response.write`, so that the bytes of a batch are made once and
 * every receiver's socket gets the same buffer.
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

  /** All renderings of the batch in one buffer, which every receiver with this encoder shares. */
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

/** The one encoder for this framing and transfer. */
export function encoderFor(framing: Framing, isChunked: boolean): Encoder {
  let pair = encoders.get(framing);
  if (pair === undefined) {
    pair = { chunked: new Encoder(framing, true), plain: new Encoder(framing, false) };
    encoders.set(framing, pair);
  }
  return isChunked ? pair.chunked : pair.plain;
}
