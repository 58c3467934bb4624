import {
  execute,
  type DocumentNode,
  type ExecutionResult,
  type GraphQLSchema,
  type OperationDefinitionNode,
} from 'graphql';
import { isTransient, retryWhileAway } from '../database/transient.ts';
import type { Viewer } from '../domain/viewer.ts';
import type { LoggedEvent } from '../realtime/event.ts';
import type { Report } from '../report.ts';
import { createContext, type Context, type Services } from './context.ts';
import { internalError, toClientError } from './error.ts';
import { loadEvent, type Envelope, type EventValue } from './event-subject.ts';
import { createLoaders, Gone, type Loaders } from './loaders.ts';

/** A rendered event; `personalTo` is set when it must not be shown to anybody else. */
export type Outcome = { payload: string; personalTo: bigint | null };

/** Where an event stands, and when it happened: what its envelope says beside the event itself. */
export type Place = { cursor: string; at: Date };

export type RendererOptions = {
  schema: GraphQLSchema;
  services: Services;
  report: Report;
  document: DocumentNode;
  operation: OperationDefinitionNode;
  variables: Record<string, unknown>;
  /** Whether anybody still waits for what it renders. */
  isWanted: () => boolean;
};

/** Executes one subscription's document for one event after another, and notes whether the result is personal. */
export class Renderer {
  readonly #options: RendererOptions;

  constructor(options: RendererOptions) {
    this.#options = options;
  }

  /**
   * The event as this viewer may get it; null when nobody is told of it. Repeats what the database was not there for:
   * an event that is passed over would be lost for good. `loaders` may be shared with other events; never rejects.
   */
  async render(
    event: LoggedEvent,
    place: Place,
    { viewer, loaders }: { viewer: Viewer; loaders: Loaders },
  ): Promise<Outcome | null> {
    const createAnew = () => createLoaders(this.#options.services.db);
    try {
      return await retryWhileAway(async (attempt) => {
        // Loaders remember what they were told: the failure, and what has gone since.
        const first = attempt === 0 ? loaders : createAnew();
        try {
          return await this.#renderAsItIs(event, place, { viewer, loaders: first });
        } catch (error) {
          if (!(error instanceof Gone)) throw error;
          return this.#renderAsItIs(event, place, { viewer, loaders: createAnew() });
        }
      }, this.#options.isWanted);
    } catch (error) {
      this.#options.report('error', 'an event could not be rendered', { error, eventId: String(event.id) });
      return { payload: JSON.stringify({ errors: [internalError(error)] }), personalTo: null };
    }
  }

  async #renderAsItIs(
    event: LoggedEvent,
    place: Place,
    { viewer, loaders }: { viewer: Viewer; loaders: Loaders },
  ): Promise<Outcome | null> {
    const value = await loadEvent(event, loaders);
    return value && this.renderValue(value, place, { viewer, loaders });
  }

  /** What is given, in this viewer's eyes. Rejects when the database is away. */
  async renderValue(
    value: EventValue,
    place: Place,
    { viewer, loaders }: { viewer: Viewer; loaders: Loaders },
  ): Promise<Outcome> {
    const { schema, document, operation, variables } = this.#options;
    const { context, isPersonal } = this.#contextFor(viewer, loaders);
    const envelope: Envelope = { ...place, event: value };
    const result = await execute({
      schema,
      document,
      operationName: operation.name?.value,
      rootValue: envelope,
      contextValue: context,
      variableValues: variables,
    });
    return { payload: this.#encode(result), personalTo: isPersonal() ? viewer.userId : null };
  }

  /** A context of its own for each execution, whose viewer leaves a mark when asked for. */
  #contextFor(viewer: Viewer, loaders: Loaders): { context: Context; isPersonal: () => boolean } {
    let wasAsked = false;
    const context = createContext(this.#options.services, {
      viewer: () => {
        wasAsked = true;
        return viewer;
      },
      loaders,
      isMeasured: true,
    });
    return { context, isPersonal: () => wasAsked };
  }

  /** Throws what is worth another look; masks what is not the client's business. */
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
