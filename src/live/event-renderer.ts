import type { Caller } from '../core/asker.ts';
import type { Soon } from '../core/soon.ts';
import type { LoggedEvent } from '../log/event.ts';
import type { Loaders } from '../postgres/loader.ts';
import type { Notice } from './notice.ts';

/**
 * A rendered event: the encoded ExecutionResult. `personalTo` says who may receive it: everyone (null), all sessions of
 * one user (their `askerKey`), or one session (its `sessionKey`).
 */
export type RenderedEvent = { payload: string; personalTo: string | null };

/** An event's position in the log and its time: the fields of the envelope besides the event itself. */
export type EnvelopeHead = { cursor: string; at: Date };

/** The asker to render for, and loaders that may share their rows with other renderings at the same time. */
export type RenderFor = { asker: Caller; loaders: Loaders };

/** The maximum size of a document's result for one event: its fields, and its bytes of JSON. */
export type EventCost = { complexity: number; bytes: number };

/** Turns events into the selection of one subscription's document. Each shared subscription has one. */
export interface EventRenderer {
  /** Whether the document selects PresenceChanged: presence changes go only to subscribers that select them. */
  readonly wantsPresence: boolean;
  readonly cost: EventCost;
  /** Loaders for one batch of events. */
  newLoaders(): Loaders;
  /** Reads what most documents show of these events, so that `render` need not wait. Never rejects. */
  prefetch(events: readonly LoggedEvent[], loaders: Loaders): Promise<void>;
  /**
   * The event as this asker may see it, at once if the loaders have all that it shows; null when there is nothing to
   * show to anyone. Waits while the database is unavailable; never throws or rejects.
   */
  render(event: LoggedEvent, head: EnvelopeHead, options: RenderFor): Soon<RenderedEvent | null>;
  /** A notice as this asker may see it. Rejects when the database is unavailable. */
  renderNotice(notice: Notice, head: EnvelopeHead, options: RenderFor): Promise<RenderedEvent>;
}
