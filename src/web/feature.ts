import { ParleyError } from 'parley-client';
import { client } from './chat-client.ts';

/** Runs a query that needs no token, for visitors who have not signed in. */
export async function askAsVisitor<Data>(query: string, variables: object = {}): Promise<Data> {
  const response = await fetch(`${client.server.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json' },
    body: JSON.stringify({ query, variables }),
  });
  const { data } = (await response.json()) as { data?: Data };
  if (data === undefined) throw new ParleyError('INTERNAL', 'The server cannot answer.');
  return data;
}

/** What the server offers; see `Api.features` in the schema. */
export async function readFeatures(): Promise<ReadonlySet<string>> {
  const { api } = await askAsVisitor<{ api: { features: string[] } }>('{ api { features } }');
  return new Set(api.features);
}
