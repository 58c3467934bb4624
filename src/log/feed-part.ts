import type { LoggedEvent } from './event.ts';

/**
 * A stretch of the log as it was read: the events in (after, through], and whether the log ended at `through` when
 * PostgreSQL was asked, at `readAt` (by `performance.now()`).
 */
export type Passage = { events: LoggedEvent[]; after: bigint; through: bigint; isEnd: boolean; readAt: number };

/** What the feed calls on the hub. */
export type FeedReader = {
  /**
   * Receives the next events of the log, in order, or none if there are no new ones. The feed reads on once this has
   * resolved.
   */
  publish: (passage: Passage) => Promise<void>;
  /**
   * The log has been replaced (restored, failed over, or pruned past the feed's position): nothing read before can be
   * trusted.
   */
  restart: () => void;
  /** The log is readable again after an outage. */
  resume: () => void;
};

/**
 * What a broadcast did with the next events. PASSED: it has given everything up to `through` to the reader; if
 * `endedAt` is not null, the log ended there at that time (by `performance.now()`). WAITING: it expects the rest within
 * `ms`. INCOMPLETE: the next events must be read from the log. SILENT: it knows of no later events. OFF: it is not in
 * use.
 */
export type Broadcasted =
  | { state: 'PASSED'; through: bigint; endedAt: number | null }
  | { state: 'WAITING'; ms: number }
  | { state: 'INCOMPLETE' | 'SILENT' | 'OFF' };

/** A source of the log's events other than PostgreSQL. It may lose messages; the feed then reads the log. */
export type FeedBroadcast = {
  /** Passes the next events after `position` on to the reader, if all that concern this node have arrived. */
  pass: (position: bigint) => Promise<Broadcasted>;
  /** Drops what it holds; call this when it announces events that the log does not have, or the feed starts over. */
  forget: () => void;
  /** Called with the epoch when the feed opens, and when the log's history has changed. */
  follow: (epoch: string) => void;
  /** Called when the feed begins or stops relying on it. */
  onReliance: (isRelied: boolean) => void;
  /** Whether the doorbell rings for new events on this node. */
  isBellOn: () => boolean;
};
