import type { LoggedEvent } from './event.ts';

/**
 * A stretch of the log as it was read: the events in (after, through], and whether the log ended at `through` when
 * PostgreSQL was queried at the time `readAt` (by `performance.now()`).
 */
export type Passage = { events: LoggedEvent[]; after: bigint; through: bigint; isEnd: boolean; readAt: number };

/** The functions of the hub that the feed calls. */
export type FeedReader = {
  /**
   * Receives the next events of the log, in order, or an empty list if there are no new events. The feed continues to
   * read once the returned promise has resolved.
   */
  publish: (passage: Passage) => Promise<void>;
  /**
   * Called when the log has been replaced (restored, failed over, or pruned past the feed's position). Data that was
   * read before can then no longer be trusted.
   */
  restart: () => void;
  /** Called when the log is readable again after an outage. */
  resume: () => void;
};

/**
 * What the broadcast did with the next events. PASSED: the broadcast has passed all events up to `through` to the
 * reader. If `endedAt` is not null, the log ended at `through` at that time (by `performance.now()`). WAITING: the
 * broadcast expects the rest of the events within `ms`. INCOMPLETE: the next events must be read from the log. SILENT:
 * the broadcast knows of no later events. OFF: the broadcast is not in use.
 */
export type Broadcasted =
  | { state: 'PASSED'; through: bigint; endedAt: number | null }
  | { state: 'WAITING'; ms: number }
  | { state: 'INCOMPLETE' | 'SILENT' | 'OFF' };

/**
 * A source of the log's events other than PostgreSQL. The source may lose messages. If it does, the feed reads the log.
 */
export type FeedBroadcast = {
  /** Passes the next events after `position` on to the reader, if all of those that concern this node have arrived. */
  pass: (position: bigint) => Promise<Broadcasted>;
  /**
   * Drops the messages that are waiting. Call this when the broadcast announces events that the log does not have, or
   * when the feed starts over.
   */
  forget: () => void;
  /** Called with the epoch when the feed opens and when the history of the log has changed. */
  follow: (epoch: string) => void;
  /** Called when the feed starts or stops relying on the broadcast. */
  onReliance: (isRelied: boolean) => void;
  /** Whether the doorbell rings for new events on this node. */
  isBellOn: () => boolean;
};
