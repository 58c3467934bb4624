import type { LoggedEvent } from '../log/event.ts';
import type { PresenceChange, Typing } from './notice.ts';

/** Why a stream ends for good. */
export type EndReason = 'SESSION_ENDED' | 'ACCESS_LOST';

/** One open subscription, as the hub sees it: of a person, to everything of theirs or (with `chatId`) to one chat. */
export interface Listener {
  readonly userId: bigint;
  readonly sessionId: bigint;
  readonly chatId: bigint | null;
  /** Follows its chat as anybody may who is signed in, as far as hub and listener know. */
  isPublicReader: boolean;
  readonly outlet: Outlet;
}

/** Where events go for listeners that want them in the same shape. Keeps the order in which it is called. */
export interface Outlet {
  /** Whether its listeners are told of who comes and goes: most people in many chats need not be. */
  readonly wantsPresence: boolean;
  publish(event: LoggedEvent, listeners: readonly Listener[]): void;
  /** The listener ends at event `at`, after all that was published before. */
  end(listener: Listener, reason: EndReason, at: bigint): void;
  /** Somebody types: told to whoever is listening now, kept for nobody. */
  publishTyping(typing: Typing, listeners: readonly Listener[]): void;
  /** Somebody came, looked away or went: the same, but whoever misses it is told where the log is (`refresh`). */
  publishPresence(change: PresenceChange, listeners: readonly Listener[]): void;
  /** How far the log is by now. To a client it says, too, that what isn't kept may have passed it by. */
  refresh(listeners: readonly Listener[], position: bigint): void;
  /** Everything held is void: the streams close, for their clients to come back. */
  interrupt(listener: Listener): void;
}
