import type { LoggedEvent } from '../log/event.ts';
import type { PresenceChange, Typing } from './notice.ts';

/** Why a stream ends permanently. */
export type EndReason = 'SESSION_ENDED' | 'ACCESS_LOST';

/**
 * One open subscription as the hub sees it. It belongs to a person and covers everything that concerns them or (with
 * `chatId`) one chat, or it belongs to a server key and covers all chats.
 */
export interface Listener {
  /**
   * The user's id, or 0 if the listener covers the whole server. The `sessionId` of such a listener is 0 too, unless
   * the key belongs to a bot.
   */
  readonly userId: bigint;
  /** The server key that a listener for the whole server belongs to. */
  readonly serverKeyId?: bigint | null;
  readonly sessionId: bigint;
  readonly chatId: bigint | null;
  /** Whether the listener follows its chat as a reader of a public channel, as far as the hub and the listener know. */
  isPublicReader: boolean;
  /**
   * Whether the listener is a webhook, which receives events from the log but no typing or presence notices, and does
   * not make its user appear online.
   */
  readonly isWebhook?: boolean;
  readonly outlet: Outlet;
}

/**
 * The destination of events for listeners that want the events in the same form. Preserves the order of the calls,
 * except for `interrupt`.
 */
export interface Outlet {
  /** Whether its listeners receive presence changes, which go only to listeners that select them. */
  readonly wantsPresence: boolean;
  publish(event: LoggedEvent, listeners: readonly Listener[]): void;
  /** Ends the listener at event `at`, after sending everything that was published before the call. */
  end(listener: Listener, reason: EndReason, at: bigint): void;
  /** Notifies the current listeners that a person is typing; the notice is never stored. */
  publishTyping(typing: Typing, listeners: readonly Listener[]): void;
  /**
   * Notifies the listeners that a person came online, went away or went offline. Works like `publishTyping`, except
   * that a listener that misses the notice receives a CaughtUp notice (`refresh`).
   */
  publishPresence(change: PresenceChange, listeners: readonly Listener[]): void;
  /**
   * Sends the current position of the log. This also tells the client that notices may have been lost, because they are
   * not stored.
   */
  refresh(listeners: readonly Listener[], position: bigint): void;
  /**
   * Discards everything that is waiting for this listener and closes its stream immediately, so that the client
   * reconnects.
   */
  interrupt(listener: Listener): void;
}
