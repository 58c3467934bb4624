import type { IncomingMessage, ServerResponse } from 'node:http';
import type { GraphQLError } from 'graphql';
import type { Asker } from '../../core/asker.ts';
import { InvalidInput } from '../../errors.ts';
import { accepts } from '../accept.ts';
import { HttpError } from '../http-error.ts';
import { chatEventsDocument, eventsDocument } from '../rest/event-document.ts';
import { prepareStored } from '../rest/fragment.ts';
import { detailed, problemOfError, sendProblem } from '../rest/problem.ts';
import { startOperation, type OperationServices } from './operation.ts';
import { PendingSink } from './pending-sink.ts';
import { plainEvents } from './plain-framing.ts';
import type { Opening, StreamRegistry } from './registry.ts';
import { DistinctSink } from './stream-sink.ts';

/** A request for `/api/events` and its asker, who is signed in. */
export type EventsRequest = Pick<Opening, 'isTokenLive'> & {
  request: IncomingMessage;
  response: ServerResponse;
  query: URLSearchParams;
  asker: Asker;
  lastEventId: string | null;
};

/** Throws HttpError 405 or 406 if the request does not ask for a stream. */
export function demandEventsRequested({ method, headers }: IncomingMessage): void {
  if (method !== 'GET') throw new HttpError(405, 'Use GET.', { headers: { allow: 'GET' } });
  if (accepts(headers.accept, ['text/event-stream', 'text/*', '*/*'])) return;
  throw new HttpError(406, 'Events are sent as text/event-stream.');
}

/**
 * Serves `GET /api/events`, which sends the asker's events or, with `chatId`, the events in one chat as plain
 * Server-Sent Events. Runs a stored subscription in the same way as the subscriptions of GraphQL clients, so all askers
 * share its executions. If a request is refused, the response is a problem, and no stream is opened.
 */
export async function openEvents(
  { server, registry }: { server: OperationServices; registry: StreamRegistry },
  { request, response, query, asker, isTokenLive, lastEventId }: EventsRequest,
): Promise<void> {
  const { chatId, after } = readQuery(query);
  const sink = new PendingSink(response);
  const mask = (error: unknown): GraphQLError => detailed(server.mask(error), error);
  const operation = await startOperation(
    { ...server, mask },
    {
      params: { variables: { chatId, after } },
      preparation: prepareStored(server.schema, chatId === null ? eventsDocument : chatEventsDocument),
      asker: () => asker,
      userAgent: request.headers['user-agent'] ?? null,
      from: request,
      lastEventId,
      askedAt: null,
    },
    sink,
  );
  if (sink.refusal !== null) {
    operation.close();
    await sendProblem(problemOfError(JSON.parse(sink.refusal).errors[0]), request, response);
    return;
  }
  try {
    const stream = registry.open({ request, response, framing: plainEvents, asker, isTokenLive });
    sink.open(new DistinctSink(stream));
    stream.run('', operation);
  } catch (error) {
    operation.close();
    throw error;
  }
}

const parameters = new Set(['after', 'chatId', 'streamToken']);

/** Reads the query string. Throws InvalidInput if a parameter is unknown or is given more than once. */
function readQuery(query: URLSearchParams): { chatId: string | null; after: string | null } {
  const wrong = [...query.keys()].find((name) => !parameters.has(name) || query.getAll(name).length > 1);
  if (wrong !== undefined) {
    const message = parameters.has(wrong) ? 'must be given once' : 'is not a parameter of this route';
    throw new InvalidInput([{ path: [wrong.slice(0, 64)], code: 'NOT_ALLOWED', message }]);
  }
  return { chatId: query.get('chatId') || null, after: query.get('after') || null };
}
