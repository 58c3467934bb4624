import type { ServerResponse } from 'node:http';
import type { Batch } from '../../live/delivery.ts';
import type { Sink } from './sink.ts';

/**
 * Replaces the sink of a stream that opens only after its operation has started, so that the response to a refused
 * operation can have an error status. Keeps the batches that arrive before the stream opens.
 */
export class PendingSink implements Sink {
  readonly #response: ServerResponse;
  #sink: Sink | null = null;
  #kept: Batch[] = [];
  /** The last result of the operation if the operation ended before the stream opened. */
  refusal: string | null = null;

  constructor(response: ServerResponse) {
    this.#response = response;
  }

  get isOpen(): boolean {
    return this.#sink?.isOpen ?? !this.#response.destroyed;
  }

  get isCongested(): boolean {
    return this.#sink?.isCongested ?? false;
  }

  get isReadyForTyping(): boolean {
    return this.#sink?.isReadyForTyping ?? false;
  }

  /** Passes the batches that were kept so far, and all later ones, to the sink of the open stream. */
  open(sink: Sink): void {
    this.#sink = sink;
    for (const batch of this.#kept) sink.send(batch);
    this.#kept = [];
  }

  send(batch: Batch): void {
    if (this.#sink === null) this.#kept.push(batch);
    else this.#sink.send(batch);
  }

  takesAll(): boolean {
    return this.#sink?.takesAll() ?? true;
  }

  drained(): Promise<void> {
    return this.#sink?.drained() ?? Promise.resolve();
  }

  finish(payload: string | null): void {
    if (this.#sink === null) this.refusal = payload;
    else this.#sink.finish(payload);
  }

  interrupt(): void {
    if (this.#sink === null) this.#response.destroy();
    else this.#sink.interrupt();
  }
}
