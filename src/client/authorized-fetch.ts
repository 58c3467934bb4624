import type { Client } from './client.ts';

/**
 * Creates a `fetch` for other GraphQL clients. It sends the session's token, and retries the request once with a new
 * token if the server refuses the first token. A refused request has had no effect, so retrying it is safe.
 */
export function authorizedFetch(client: Client): typeof globalThis.fetch {
  return async (input, init) => {
    const token = await client.token();
    const response = await send(client, input, { init, token });
    if (!(await isRefused(response))) return response;
    return send(client, input, { init, token: await client.token(token) });
  };
}

type Sending = { init: RequestInit | undefined; token: string };

function send({ server }: Client, input: RequestInfo | URL, { init, token }: Sending): Promise<Response> {
  const headers = new Headers(init?.headers);
  headers.set('authorization', `Bearer ${token}`);
  return server.fetch(input, { ...init, headers });
}

async function isRefused(response: Response): Promise<boolean> {
  if (response.status === 401) return true;
  const { errors = [] }: { errors?: { extensions?: { code?: string } }[] } = await response
    .clone()
    .json()
    .catch(() => ({}));
  return errors.some(({ extensions }) => extensions?.code === 'UNAUTHENTICATED');
}
