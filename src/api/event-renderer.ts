import { type DocumentNode, type ExecutionResult, type GraphQLSchema, type OperationDefinitionNode } from 'graphql';
import { watchAsker } from '../core/asker-watch.ts';
import type { Caller } from '../core/asker.ts';
import type { Report } from '../core/report.ts';
import { isPromise, whenThere, type Soon } from '../core/soon.ts';
import type { EnvelopeHead, EventCost, EventRenderer, RenderedEvent, RenderFor } from '../live/event-renderer.ts';
import type { Notice } from '../live/notice.ts';
import type { LoggedEvent } from '../log/event.ts';
import { Gone, Loaders } from '../postgres/loader.ts';
import { isTransient, retryWhileAway } from '../postgres/transient.ts';
import { createContext, type Services } from './context.ts';
import { asksForType, shapeOf, type PreparedOperation } from './document.ts';
import { internalError, toClientError } from './error.ts';
import { loadEvent, type Envelope } from './event.ts';
import { prefetchEventRows } from './event-rows.ts';
import { readInputs, runOperation } from './plan/run.ts';

/** What the renderer of a subscription document needs. */
export type RendererOptions = {
  schema: GraphQLSchema;
  services: Services;
  report: Report;
  document: DocumentNode;
  operation: OperationDefinitionNode;
  variables: Record<string, unknown>;
  cost: EventCost;
  /** Whether a subscriber is still waiting for the rendering. */
  isWanted: () => boolean;
};

/**
 * Returns the key of a subscription. Two subscriptions with equal keys have the same results. The key consists of the
 * document, the operation, and the variables used below the root field.
 */
export function subscriptionKey(
  { document, operation }: PreparedOperation,
  variables: Readonly<Record<string, unknown>>,
): string {
  const shape = shapeOf(document, operation);
  // An omitted variable takes its default value, but a null variable does not.
  const used = shape.variables.map((name) => (Object.hasOwn(variables, name) ? [name, variables[name]] : [name]));
  return `${shape.text} ${JSON.stringify(used)}`;
}

/** Executes a subscription's document for each event, and records who may receive the result. */
export class DocumentRenderer implements EventRenderer {
  readonly wantsPresence: boolean;
  readonly cost: EventCost;
  readonly #options: RendererOptions;
  /** The inputs are read once and used for all events. */
  readonly #inputs: ReturnType<typeof readInputs>;

  constructor(options: RendererOptions) {
    this.#options = options;
    const { schema, document, operation, variables } = options;
    this.#inputs = readInputs({ schema, operation: { document, operation }, variables });
    this.cost = options.cost;
    this.wantsPresence = asksForType(options.document, 'PresenceChanged');
  }

  newLoaders(): Loaders {
    return new Loaders(this.#options.services.db);
  }

  prefetch(events: readonly LoggedEvent[], loaders: Loaders): Promise<void> {
    return prefetchEventRows(events, loaders);
  }

  /**
   * Renders the event as this asker may see it, or returns null if the event has nothing that anyone may see. Retries
   * while the database is unavailable, because a skipped event would be lost for good. `loaders` may be shared with
   * other events. Never throws and never rejects.
   */
  render(event: LoggedEvent, head: EnvelopeHead, options: RenderFor): Soon<RenderedEvent | null> {
    const rendered = this.#attempt(event, head, options);
    return isPromise(rendered) ? this.#insist(rendered, { event, head, asker: options.asker }) : rendered;
  }

  /**
   * Renders once. Rejects instead of throwing synchronously. Does not return a promise if the rendering succeeds
   * synchronously.
   */
  #attempt(event: LoggedEvent, head: EnvelopeHead, options: RenderFor): Soon<RenderedEvent | null> {
    try {
      return this.#renderAsItIs(event, head, options);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** Awaits a first attempt that did not finish synchronously, and retries while the database is unavailable. */
  async #insist(
    begun: Promise<RenderedEvent | null>,
    { event, head, asker }: { event: LoggedEvent; head: EnvelopeHead; asker: Caller },
  ): Promise<RenderedEvent | null> {
    try {
      return await retryWhileAway(async (attempt) => {
        try {
          if (attempt === 0) return await begun;
          // Loaders cache everything that they have loaded, including failures and rows that have been deleted since.
          return await this.#renderAsItIs(event, head, { asker, loaders: this.newLoaders() });
        } catch (error) {
          if (!(error instanceof Gone)) throw error;
          // The missing rows may be among those that came with the event.
          const { shared: _, ...alone } = event;
          return this.#renderAsItIs(alone, head, { asker, loaders: this.newLoaders() });
        }
      }, this.#options.isWanted);
    } catch (error) {
      this.#options.report('error', 'an event could not be rendered', { error, eventId: String(event.id) });
      return { payload: JSON.stringify({ errors: [internalError(error)] }), personalTo: null };
    }
  }

  #renderAsItIs(event: LoggedEvent, head: EnvelopeHead, options: RenderFor): Soon<RenderedEvent | null> {
    return whenThere(
      loadEvent(event, options.loaders),
      (value) => value && this.#renderValue({ cursor: head.cursor, at: head.at, event: value }, event.id, options),
    );
  }

  async renderNotice(notice: Notice, head: EnvelopeHead, options: RenderFor): Promise<RenderedEvent> {
    return this.#renderValue({ ...head, event: notice }, null, options);
  }

  /** `eventId` is null for a notice, because notices are not in the log. */
  #renderValue(envelope: Envelope, eventId: bigint | null, { asker, loaders }: RenderFor): Soon<RenderedEvent> {
    const { schema, services, document, operation, variables } = this.#options;
    const { ask, personalTo } = watchAsker(asker);
    const result = runOperation({
      schema,
      operation: { document, operation },
      rootValue: envelope,
      context: createContext(services, { asker: ask, loaders, eventId }),
      variables,
      inputs: this.#inputs,
    });
    return whenThere(result, (known) => ({ payload: this.#encode(known), personalTo: personalTo() }));
  }

  /** Encodes the result. Throws errors that are worth retrying, and masks errors that clients must not see. */
  #encode(result: ExecutionResult): string {
    if (result.errors === undefined) return JSON.stringify(result);
    const errors = result.errors.map((error) => {
      const { originalError } = error;
      if (originalError !== undefined && (isTransient(originalError) || originalError instanceof Gone))
        throw originalError;
      const told = toClientError(error);
      if (told === null) this.#options.report('error', 'a field of an event failed', { error: error.originalError });
      return told ?? internalError(error);
    });
    return JSON.stringify({ ...result, errors });
  }
}
