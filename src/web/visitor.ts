import { ParleyError } from 'parley-client';
import { client } from './chat-client.ts';

type Refusal = { message: string; extensions?: { code?: string; retryAfterSeconds?: number } };
type Answer = { data?: Record<string, unknown> | null; errors?: Refusal[] };

/**
 * Runs an operation that needs no token, for visitors who have not signed in. Throws a ParleyError for a failure that
 * the server reports.
 */
export async function askAsVisitor<Data>(query: string, variables: object = {}): Promise<Data> {
  const response = await fetch(`${client.server.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json' },
    body: JSON.stringify({ query, variables }),
  });
  const { data, errors: [refusal] = [] } = (await response.json()) as Answer;
  if (refusal !== undefined || data == null) {
    const { code = 'INTERNAL', retryAfterSeconds = null } = refusal?.extensions ?? {};
    throw new ParleyError(code, refusal?.message ?? 'The server cannot answer.', { retryAfterSeconds });
  }
  for (const result of Object.values(data)) throwFailure(result);
  // The type of the data depends on the query.
  return data as Data;
}

/** Throws if the result is a failure. The documents select `message` only for failures. */
function throwFailure(result: unknown): void {
  if (typeof result !== 'object' || result === null) return;
  const { code, message, fields } = result as { code?: string; message?: string; fields?: ParleyError['fields'] };
  if (code !== undefined && message !== undefined) throw new ParleyError(code, message, fields && { fields });
}
