import type { Batch } from '../../live/delivery.ts';

/** The destination of one operation's results. */
export interface Sink {
  readonly isOpen: boolean;
  /** Whether the client reads too slowly: the bytes that it has not taken have reached the limit. */
  readonly isCongested: boolean;
  /** Whether the backlog is small enough to send notices that would be useless later. */
  readonly isReadyForTyping: boolean;
  send(batch: Batch): void;
  /** Writes what is pending; returns whether the operating system has taken all of it. */
  takesAll(): boolean;
  /** Resolves when the socket has taken everything, or is gone. */
  drained(): Promise<void>;
  /** Ends this operation permanently, with a last result if there is one. */
  finish(payload: string | null): void;
  /** Closes the response without `complete`, so that the client reconnects. */
  interrupt(): void;
}
