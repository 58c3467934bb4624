import type { Asker } from '../core/asker.ts';
import type { LoggedEvent } from '../log/event.ts';
import type { Loaders } from '../postgres/loader.ts';
import type { Notice } from './notice.ts';

/** A rendered event: the encoded ExecutionResult. `personalTo` is the person it was made for if no one else may get it. */
export type RenderedEvent = { payload: string; personalTo: bigint | null };

/** Where an event stands in the log, and when it happened: what its envelope says beside the event itself. */
export type EnvelopeHead = { cursor: string; at: Date };

/** On whose behalf something is rendered, with rows that others rendered at the same time may share. */
export type RenderFor = { asker: Asker; loaders: Loaders };

/** Turns events into what one subscription's document selects. The live side is given one per shared subscription. */
export interface EventRenderer {
  /** Whether the document selects PresenceChanged: most people in many chats need not be told of it. */
  readonly wantsPresence: boolean;
  /** Rows for one batch of events. */
  newLoaders(): Loaders;
  /** The event as this asker may get it; null when no one is told of it. Waits while the database is away; never rejects. */
  render(event: LoggedEvent, head: EnvelopeHead, options: RenderFor): Promise<RenderedEvent | null>;
  /** A notice as this asker gets it. Rejects when the database is away. */
  renderNotice(notice: Notice, head: EnvelopeHead, options: RenderFor): Promise<RenderedEvent>;
}
