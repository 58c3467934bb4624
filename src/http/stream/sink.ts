import type { Batch } from '../../live/delivery.ts';

/** The destination for the results of one operation. */
export interface Sink {
  readonly isOpen: boolean;
  /** Whether the client reads too slowly, that is, whether the number of unread bytes has reached the limit. */
  readonly isCongested: boolean;
  /** Whether the backlog is small enough to send notices that are useless if they arrive late. */
  readonly isReadyForTyping: boolean;
  send(batch: Batch): void;
  /** Writes the pending buffers, and returns whether the operating system has accepted all of them. */
  takesAll(): boolean;
  /** Resolves when the operating system has accepted everything, or when the socket is gone. */
  drained(): Promise<void>;
  /** Ends this operation permanently, after sending the last result if there is one. */
  finish(payload: string | null): void;
  /** Closes the response without `complete`, so that the client reconnects. */
  interrupt(): void;
}
