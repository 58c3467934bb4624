import type { LoggedEvent } from '../log/event.ts';
import type { PresenceChange, Typing } from './notice.ts';

/** Why a stream ends permanently. */
export type EndReason = 'SESSION_ENDED' | 'ACCESS_LOST';

/**
 * One open subscription as the hub sees it: it belongs to a person, and covers everything that concerns them or (with
 * `chatId`) one chat; or it belongs to a server key, and covers all chats.
 */
export interface Listener {
  /** 0 for a listener of the whole server. Its `sessionId` is 0 too, unless the key belongs to a bot. */
  readonly userId: bigint;
  /** Set for a listener of the whole server: the server key that it belongs to. */
  readonly serverKeyId?: bigint | null;
  readonly sessionId: bigint;
  readonly chatId: bigint | null;
  /** Whether it follows its chat as a reader of a public channel, as far as the hub and the listener know. */
  isPublicReader: boolean;
  /** A webhook: receives events of the log, but no typing and no presence, and does not make its user appear online. */
  readonly isWebhook?: boolean;
  readonly outlet: Outlet;
}

/**
 * The destination of events for listeners that want them in the same shape. Keeps the order of the calls, except for
 * `interrupt`.
 */
export interface Outlet {
  /** Whether its listeners receive presence changes: only those that select them do. */
  readonly wantsPresence: boolean;
  publish(event: LoggedEvent, listeners: readonly Listener[]): void;
  /** Ends the listener at event `at`, after everything that was published before it. */
  end(listener: Listener, reason: EndReason, at: bigint): void;
  /** A person is typing: sent to the current listeners, never kept. */
  publishTyping(typing: Typing, listeners: readonly Listener[]): void;
  /**
   * A person came online, went away or went offline: sent like typing, but a listener that misses it receives a
   * CaughtUp notice (`refresh`).
   */
  publishPresence(change: PresenceChange, listeners: readonly Listener[]): void;
  /**
   * Sends the log's current position. This also tells the client that notices, which are not kept, may have been lost.
   */
  refresh(listeners: readonly Listener[], position: bigint): void;
  /** Discards everything held for this listener and closes its stream immediately, so that the client reconnects. */
  interrupt(listener: Listener): void;
}
