import { ApolloClient, ApolloLink, gql, HttpLink, InMemoryCache } from '@apollo/client';
import { PersistedQueryLink } from '@apollo/client/link/persisted-queries';
import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { startServer } from '../support/server.ts';

const server = await startServer();
const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');

test.each([true, false])(
  'Apollo’s link for persisted queries falls back to sending the document (hashes by GET: %s)',
  async (useGETForHashedQueries) => {
    const client = new ApolloClient({
      cache: new InMemoryCache(),
      link: ApolloLink.from([
        new PersistedQueryLink({ sha256, useGETForHashedQueries }),
        new HttpLink({ uri: `${server.url}/graphql` }),
      ]),
    });
    const { data } = await client.query({
      query: gql`
        query Fallback {
          __typename
        }
      `,
    });
    expect(data).toEqual({ __typename: 'Query' });
    client.stop();
  },
);

/** As urql's persistedExchange does it: it sends the hash, and looks for an error with exactly this message. */
test('a hash without its document gets PersistedQueryNotSupported, however it is sent', async () => {
  const extensions = { persistedQuery: { version: 1, sha256Hash: sha256('{ __typename }') } };
  const urql =
    'application/graphql-response+json, application/graphql+json, application/json, text/event-stream, multipart/mixed';
  const search = new URLSearchParams({ extensions: JSON.stringify(extensions) });
  for (const accept of ['application/json', 'application/graphql-response+json', urql]) {
    const answers = await Promise.all([
      fetch(`${server.url}/graphql`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', accept },
        body: JSON.stringify({ extensions, variables: {} }),
      }),
      fetch(`${server.url}/graphql?${search}`, { headers: { accept } }),
    ]);
    for (const answer of answers) {
      expect(answer.status).toBe(200);
      expect(await answer.json()).toEqual({
        errors: [{ message: 'PersistedQueryNotSupported', extensions: { code: 'PERSISTED_QUERY_NOT_SUPPORTED' } }],
      });
    }
  }
});
