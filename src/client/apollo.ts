import {
  ApolloLink,
  HttpLink,
  Observable,
  type ApolloCache,
  type ApolloClient,
  type TypePolicies,
} from '@apollo/client';
import { relayStylePagination } from '@apollo/client/utilities';
import { OperationTypeNode, print } from 'graphql';
import { authorizedFetch } from './authorized-fetch.ts';
import type { Client } from './client.ts';
import { followSubscription } from './follow.ts';
import { addEdge, messagePages } from './apollo-message.ts';

export { possibleTypes } from './generated/possible-types.ts';

/**
 * The last link for an app that keeps its data in Apollo Client's cache. Requests carry the token of the client's
 * session, and subscriptions resume after the last event that they received. After a Reset, all queries on the screen
 * are fetched again, and everything else in the cache is dropped.
 */
export function parleyLink(parley: Client): ApolloLink {
  const requests = new HttpLink({ uri: `${parley.server.url}/graphql`, fetch: authorizedFetch(parley) });
  const events = new ApolloLink(
    ({ query, variables, operationName, client }) =>
      new Observable<ApolloLink.Result>((observer) => {
        const abort = new AbortController();
        followSubscription(
          parley,
          { query: print(query), variables, operationName },
          {
            signal: abort.signal,
            // The cast is safe because errors have the fields that the specification requires.
            onResult: (result) => observer.next(result as ApolloLink.Result),
            onReset: () => void fetchAgain(client),
          },
        ).then(
          () => observer.complete(),
          (error: unknown) => observer.error(error),
        );
        return () => abort.abort();
      }),
  );
  const isSubscription = ({ operationType }: ApolloLink.Operation) => operationType === OperationTypeNode.SUBSCRIPTION;
  return ApolloLink.split(isSubscription, events, requests);
}

/** Drops everything. Data that is not on the screen is fetched when it is shown again. */
async function fetchAgain(client: ApolloClient): Promise<void> {
  const shown = client.getObservableQueries('active');
  // The screen continues to show the old data until the new results arrive.
  for (const id of Object.keys(client.cache.extract() ?? {})) client.cache.evict({ id, broadcast: false });
  // A query that fails reports its own error.
  await Promise.allSettled([...shown].map((query) => query.refetch()));
  client.cache.gc();
}

/** Tells `InMemoryCache` how to join the pages of lists. Queries must select messages with their `id` and `seq`. */
export const typePolicies: TypePolicies = {
  Query: {
    fields: {
      publicChannels: relayStylePagination(['search']),
      searchMessages: relayStylePagination(['query', 'filter', 'sort']),
      users: relayStylePagination(['search']),
    },
  },
  // There is only one viewer, regardless of which fields a query selects.
  Viewer: { keyFields: [], fields: { chats: relayStylePagination(['type']), blockedUsers: relayStylePagination() } },
  Chat: {
    fields: {
      messages: messagePages,
      members: relayStylePagination(),
      files: relayStylePagination(),
      bans: relayStylePagination(),
      invites: relayStylePagination(),
      readBy: relayStylePagination(['seq']),
      viewerMembership: { merge: true },
    },
  },
};

/** The part of a NewMessage event that `addMessage` needs. */
export type NewMessage = {
  message: { chat: { id: string } };
  edge: { cursor: string; node: { id: string; seq: number } };
};

/** Adds the message of an event at the end of its chat, if the end of the chat's history is in the cache. */
export function addMessage(cache: ApolloCache, { message, edge }: NewMessage): void {
  const id = cache.identify({ __typename: 'Chat', id: message.chat.id });
  if (id === undefined) return;
  const node = { __ref: cache.identify({ __typename: 'Message', id: edge.node.id }) ?? '' };
  cache.modify({
    id,
    fields: {
      messages: (pages, { readField }) =>
        addEdge(pages, { __typename: 'MessageEdge', cursor: edge.cursor, node }, readField),
    },
  });
}
