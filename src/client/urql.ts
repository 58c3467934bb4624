import { formatDocument, makeOperation, mapExchange, type Exchange, type Operation } from '@urql/core';
import { authorizedFetch } from './authorized-fetch.ts';
import type { Client } from './client.ts';
import { followSubscription, type Subscription } from './follow.ts';

/**
 * An exchange for apps that keep their data in urql's cache. Put it before the cache, and put `fetchExchange` last.
 * Requests carry the token of the client's session, and subscriptions resume after the last event that they received.
 * After a Reset, queries are fetched again: queries on the screen immediately, and other queries when they are next
 * used.
 */
export function parleyExchange(parley: Client): Exchange {
  const fetchOnce = authorizedFetch(parley);
  return (input) => {
    let known = new Map<number, Operation>();
    let hasReset = false;
    const onReset = () => {
      hasReset = true;
      const before = known;
      known = new Map();
      for (const query of before.values()) {
        // This call has no effect for a query that is not on the screen.
        input.client.reexecuteOperation(
          makeOperation('query', query, { ...query.context, requestPolicy: 'network-only' }),
        );
      }
    };
    const fetchEvents = resumingFetch(parley, onReset);
    const onOperation = (operation: Operation): Operation => {
      const { kind, key, context } = operation;
      const isStale = kind === 'query' && hasReset && !known.has(key) && context.requestPolicy === 'cache-first';
      if (kind === 'query') known.set(key, operation);
      const isSubscription = kind === 'subscription';
      // Adds `__typename`, which is needed to recognise a Reset.
      const query = isSubscription ? (formatDocument(operation.query) as Operation['query']) : operation.query;
      return makeOperation(kind, { ...operation, query } as Operation, {
        ...context,
        ...(isStale && { requestPolicy: 'network-only' }),
        url: `${parley.server.url}/graphql`,
        fetch: isSubscription ? fetchEvents : fetchOnce,
        preferGetMethod: false,
        fetchSubscriptions: true,
      });
    };
    return mapExchange({ onOperation })(input);
  };
}

/** Returns a `fetch` whose response is a single stream of events, even if the stream takes several connections. */
function resumingFetch(parley: Client, onReset: () => void): typeof globalThis.fetch {
  return async (_, init) => {
    // `fetchExchange`, which sends the request, passes the body as a string.
    if (typeof init?.body !== 'string') throw new TypeError('A subscription must be sent as JSON.');
    const subscription: Subscription = JSON.parse(init.body);
    const abort = new AbortController();
    init.signal?.addEventListener('abort', () => abort.abort());
    const encoder = new TextEncoder();
    const follow = (controller: ReadableStreamDefaultController<Uint8Array>) => {
      const put = (text: string) => controller.enqueue(encoder.encode(text));
      return followSubscription(parley, subscription, {
        signal: abort.signal,
        onResult: (result) => put(`event: next\ndata: ${JSON.stringify(result)}\n\n`),
        onReset,
      });
    };
    const stream = new ReadableStream<Uint8Array>({
      start: (controller) => {
        follow(controller).then(
          () => !abort.signal.aborted && controller.close(),
          (error: unknown) => controller.error(error),
        );
      },
      cancel: () => abort.abort(),
    });
    return new Response(stream, { headers: { 'content-type': 'text/event-stream' } });
  };
}
