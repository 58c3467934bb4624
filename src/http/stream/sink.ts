import type { Batch } from '../../live/delivery.ts';

/** The destination of one operation's results. */
export interface Sink {
  readonly isOpen: boolean;
  /** The client takes less than it is sent: its unsent bytes have reached the limit. */
  readonly isCongested: boolean;
  /** Whether little enough is unsent to send notices that would have no value later. */
  readonly isReadyForTyping: boolean;
  send(batch: Batch): void;
  /** Whether the socket immediately takes everything sent so far. */
  takesAll(): boolean;
  /** Resolves when the socket has taken everything, or is gone. */
  drained(): Promise<void>;
  /** Ends this operation permanently, with a last result if there is one. */
  finish(payload: string | null): void;
  /** Closes the response without `complete`, so that the client reconnects. */
  interrupt(): void;
}
