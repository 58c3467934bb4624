import { request } from 'node:http';

/**
 * Posts an operation as if through a proxy that reports the client's address. Returns the code of the first top-level
 * error, or the type of the result of `signIn` or `signUp`.
 */
export function postFrom(
  url: string,
  address: string,
  { query, variables }: { query: string; variables: unknown },
): Promise<string> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json', 'x-forwarded-for': address };
    const asked = request(`${url}/graphql`, { method: 'POST', headers }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => (text += part));
      response.on('end', () => {
        const { data, errors } = JSON.parse(text);
        resolve(errors?.[0]?.extensions.code ?? data?.signIn?.__typename ?? data?.signUp?.__typename);
      });
    });
    asked.on('error', reject);
    asked.end(JSON.stringify({ query, variables }));
  });
}

/** Signs in from that address, as `postFrom` does. */
export function signInFrom(
  url: string,
  address: string,
  { email, password }: { email: string; password: string },
): Promise<string> {
  const query = 'mutation ($input: SignInInput!) { signIn(input: $input) { __typename } }';
  return postFrom(url, address, { query, variables: { input: { email, password } } });
}
