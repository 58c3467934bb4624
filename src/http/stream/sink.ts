import type { Batch } from '../../live/delivery.ts';

/** Where one operation's results go. */
export interface Sink {
  readonly isOpen: boolean;
  /** The other side takes less than it is sent: the limit on what waits for it is reached. */
  readonly isCongested: boolean;
  /** So little waits that something may go out which is worth nothing later. */
  readonly isReadyForTyping: boolean;
  send(batch: Batch): void;
  /** Whether the other side takes at once what it has been sent by now. */
  takesAll(): boolean;
  /** Resolves when the other side has taken everything, or is gone. */
  drained(): Promise<void>;
  /** Ends this operation for good, with a last result where there is one. */
  finish(payload: string | null): void;
  /** Closes the response without `complete`: its client is to come back. */
  interrupt(): void;
}
