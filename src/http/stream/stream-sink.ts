import type { Batch } from '../../live/delivery.ts';
import { printComplete, printNext } from './framing.ts';
import type { OpenStream } from './open-stream.ts';
import type { Sink } from './sink.ts';

abstract class StreamSink {
  protected readonly stream: OpenStream;

  constructor(stream: OpenStream) {
    this.stream = stream;
  }

  get isOpen(): boolean {
    return this.stream.isOpen;
  }

  get isCongested(): boolean {
    return this.stream.isCongested;
  }

  get isReadyForTyping(): boolean {
    return this.stream.isReadyForTyping;
  }

  takesAll(): boolean {
    return this.stream.connection.takesAll();
  }

  drained(): Promise<void> {
    return this.stream.connection.drained();
  }

  interrupt(): void {
    this.stream.interrupt();
  }
}

/** Distinct connections mode: each response carries one operation and ends with it. */
export class DistinctSink extends StreamSink implements Sink {
  send(batch: Batch): void {
    this.stream.tally.results += batch.renderings.length;
    this.stream.write(this.stream.connection.encoder.encodeBatch(batch));
  }

  finish(payload: string | null): void {
    const { connection } = this.stream;
    const { framing } = connection.encoder;
    this.stream.write(
      connection.encoder.encode((payload === null ? '' : framing.next(payload, null)) + framing.complete),
    );
    connection.end();
  }
}

/**
 * Single connection mode: each result contains the id of its operation, and when one operation ends, the others
 * continue.
 */
export class OperationSink extends StreamSink implements Sink {
  readonly #operationId: string;
  readonly #release: () => Promise<void>;
  #isOver = false;

  /**
   * `release` frees the operation's id, and never rejects. The release finishes before the client receives `complete`,
   * because the client may then reuse the id.
   */
  constructor(stream: OpenStream, operationId: string, release: () => Promise<void>) {
    super(stream);
    this.#operationId = operationId;
    this.#release = release;
  }

  override get isOpen(): boolean {
    return !this.#isOver && super.isOpen;
  }

  send({ renderings }: Batch): void {
    if (this.#isOver) return;
    this.stream.tally.results += renderings.length;
    this.#write(renderings.map(({ payload, cursor }) => printNext(this.#operationId, payload, cursor)).join(''));
  }

  finish(payload: string | null): void {
    if (this.#isOver) return;
    this.#isOver = true;
    if (payload !== null) this.#write(printNext(this.#operationId, payload, null));
    void this.#release().then(() => this.#write(printComplete(this.#operationId)));
  }

  /** Stops the sink, which then sends nothing more, not even `complete`. */
  silence(): void {
    this.#isOver = true;
  }

  #write(frames: string): void {
    this.stream.write(this.stream.connection.encoder.encode(frames));
  }
}
