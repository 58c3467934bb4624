import { ParleyError, Unreachable } from './error.ts';

/** The URL of the API, and the `fetch` with which to reach it. */
export type Server = { readonly url: string; readonly fetch: typeof globalThis.fetch };

type Answer = { data?: Record<string, unknown> | null; errors?: Refusal[] };
/** One of the errors in a response. */
export type Refusal = { message: string; extensions?: { code?: string; retryAfterSeconds?: number } };

/**
 * Runs a query or mutation. Throws a ParleyError for a refused request and for an expected failure among the results,
 * and Unreachable if something other than the API answered, such as the sign-in page of a public network.
 */
export async function post<Data>(
  { url, fetch }: Server,
  { document, variables, token }: { document: string; variables: object; token: string | null },
): Promise<Data> {
  const response = await reach(() =>
    fetch(`${url}/graphql`, {
      method: 'POST',
      headers: headersWith(token, 'application/json'),
      body: JSON.stringify({ query: document, variables }),
    }),
  );
  const answer = await reach(async (): Promise<Answer> => response.json());
  if (answer.data === undefined && answer.errors === undefined) throw new Unreachable(`status ${response.status}`);
  const [refusal] = answer.errors ?? [];
  if (refusal !== undefined) throw toError(refusal);
  for (const result of Object.values(answer.data ?? {})) throwFailure(result);
  // The cast is safe because the document determines the type of the data.
  return answer.data as Data;
}

/** Returns the headers for a request with a JSON body. */
export function headersWith(token: string | null, accept: string): Record<string, string> {
  return {
    'content-type': 'application/json',
    accept,
    ...(token !== null && { authorization: `Bearer ${token}` }),
  };
}

/** Converts a refused request into an error. */
export function toError({ message, extensions }: Refusal): ParleyError {
  return new ParleyError(extensions?.code ?? 'INTERNAL', message, {
    retryAfterSeconds: extensions?.retryAfterSeconds ?? null,
  });
}

/** Runs `work`, which uses the network. Rejects with Unreachable if it fails. */
export async function reach<Value>(work: () => Promise<Value>): Promise<Value> {
  try {
    return await work();
  } catch (error) {
    throw new Unreachable(String(error), { cause: error });
  }
}

function throwFailure(result: unknown): void {
  if (typeof result !== 'object' || result === null) return;
  const { code, message, fields, until, reason } = result as Record<string, unknown>;
  // Only failures have both a `code` that is an ErrorCode and a message.
  if (typeof code !== 'string' || typeof message !== 'string' || !/^[A-Z_]+$/.test(code)) return;
  throw new ParleyError(code, message, {
    ...(Array.isArray(fields) && { fields: fields as ParleyError['fields'] }),
    ...(typeof until === 'string' && { until }),
    ...(typeof reason === 'string' && { reason }),
  });
}
