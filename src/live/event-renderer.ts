import type { Caller } from '../core/asker.ts';
import type { Soon } from '../core/soon.ts';
import type { LoggedEvent } from '../log/event.ts';
import type { Loaders } from '../postgres/loader.ts';
import type { Notice } from './notice.ts';

/**
 * A rendered event: the encoded ExecutionResult. `personalTo` identifies who may receive it: everyone (null), all
 * sessions of one user (their `askerKey`), or one session (its `sessionKey`).
 */
export type RenderedEvent = { payload: string; personalTo: string | null };

/** The position of an event in the log and its time, which are the fields of the envelope besides the event itself. */
export type EnvelopeHead = { cursor: string; at: Date };

/**
 * The asker to render for, and the loaders, which may share their rows with other renderings that run at the same time.
 */
export type RenderFor = { asker: Caller; loaders: Loaders };

/** The maximum cost of a document's result for one event: its complexity, and its size in bytes of JSON. */
export type EventCost = { complexity: number; bytes: number };

/** Executes the document of one subscription for events. Each shared subscription has its own renderer. */
export interface EventRenderer {
  /** Whether the document selects PresenceChanged; presence changes are sent only to subscribers that select them. */
  readonly wantsPresence: boolean;
  readonly cost: EventCost;
  /** Creates the loaders for one batch of events. */
  newLoaders(): Loaders;
  /** Reads what most documents select from these events, so that `render` does not have to wait. Never rejects. */
  prefetch(events: readonly LoggedEvent[], loaders: Loaders): Promise<void>;
  /**
   * Renders the event as this asker may see it, synchronously if the loaders already have everything that the event
   * shows; returns null if the event has nothing that anyone may see. Waits while the database is unavailable; never
   * throws or rejects.
   */
  render(event: LoggedEvent, head: EnvelopeHead, options: RenderFor): Soon<RenderedEvent | null>;
  /** Renders a notice as this asker may see it. Rejects when the database is unavailable. */
  renderNotice(notice: Notice, head: EnvelopeHead, options: RenderFor): Promise<RenderedEvent>;
}
