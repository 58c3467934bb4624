import { print } from '@0no-co/graphql.web';
import { initGraphQLTada, type TadaDocumentNode } from 'gql.tada';
import type { Client } from './client.ts';
import type { introspection } from './generated/introspection.ts';

export { readFragment, type FragmentOf, type ResultOf, type VariablesOf } from 'gql.tada';

/**
 * Creates a document for the API, with types for its result and variables. You can also pass the document to urql and
 * to Apollo Client. https://gql-tada.0no.co
 */
export const graphql = initGraphQLTada<{
  introspection: introspection;
  scalars: { ID: string; DateTime: string; JSON: unknown };
}>();

type Parameters<Variables> = Record<string, never> extends Variables ? [variables?: Variables] : [variables: Variables];

/**
 * Runs a query or mutation with the client's token, and refreshes the token if necessary. Throws expected failures as
 * ParleyError.
 */
export function query<Data, Variables extends object>(
  client: Client,
  document: TadaDocumentNode<Data, Variables>,
  ...[variables]: Parameters<Variables>
): Promise<Data> {
  return client.query<Data>(print(document), { ...variables });
}
