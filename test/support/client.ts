import { randomBytes } from 'node:crypto';
import type { GraphQLFormattedError } from 'graphql';

/** A server's answer. `data` is untyped because each test says what it expects. */
// oxlint-disable-next-line typescript/no-explicit-any -- Answers are asserted on, not computed with.
export type Data = any;
/** The answer to one GraphQL request. */
export type Answer = { status: number; headers: Headers; data: Data; errors: GraphQLFormattedError[] | undefined };
/** The variables of an operation. */
export type Variables = Record<string, unknown>;

/** A user who signed up. `ask` runs an operation as that user, and returns its data. It throws on top-level errors. */
export type Person = {
  name: string;
  email: string;
  password: string;
  userId: string;
  token: string;
  refreshToken: string;
  ask: (document: string, variables?: Variables) => Promise<Data>;
  /** Runs an operation that may fail, and returns the whole answer. */
  post: (document: string, variables?: Variables) => Promise<Answer>;
};

/** What a test needs from a server that it started. */
export type TestClient = {
  post: (
    document: string,
    variables?: Variables,
    options?: { token?: string; headers?: Record<string, string> },
  ) => Promise<Answer>;
  ask: (document: string, variables?: Variables, token?: string) => Promise<Data>;
};

/** Runs one operation, as an ordinary client would. */
export async function post(
  url: string,
  document: string,
  variables?: Variables,
  options: { token?: string; headers?: Record<string, string> } = {},
): Promise<Answer> {
  const response = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/json',
      ...(options.token !== undefined && { authorization: `Bearer ${options.token}` }),
      ...options.headers,
    },
    body: JSON.stringify({ query: document, variables }),
  });
  const body = (await readJson(response)) as { data?: Data; errors?: GraphQLFormattedError[] };
  return { status: response.status, headers: response.headers, data: body.data, errors: body.errors };
}

/** Reads a JSON body. If the body is not JSON, the error shows what arrived. */
async function readJson(response: Response): Promise<unknown> {
  const text = await response.text();
  try {
    return JSON.parse(text);
  } catch (error) {
    const headers = JSON.stringify([...response.headers]);
    throw new Error(`status ${response.status}, ${headers}, ${text.slice(0, 1_000)}`, { cause: error });
  }
}

/** Like `post`, for an operation that must succeed. Returns its data, and throws on errors. */
export async function ask(url: string, document: string, variables?: Variables, token?: string): Promise<Data> {
  const { data, errors } = await post(url, document, variables, token === undefined ? {} : { token });
  if (errors !== undefined) throw new Error(`${JSON.stringify(errors)} in answer to ${document}`);
  return data;
}

/** Signs up a user with that name. */
export async function signUp(server: TestClient, name: string): Promise<Person> {
  const email = `${name}@example.com`;
  // The password is short, because the time for estimating how easy a password is to guess is quadratic in its length.
  const password = randomBytes(9).toString('base64url');
  const { signUp: signedIn } = await server.ask(
    `mutation ($input: SignUpInput!) {
      signUp(input: $input) {
        __typename
        ... on Error { message }
        ... on SignedIn { accessToken refreshToken viewer { user { id } } }
      }
    }`,
    { input: { username: name, email, password } },
  );
  if (signedIn.__typename !== 'SignedIn') throw new Error(`${name} could not sign up: ${JSON.stringify(signedIn)}`);
  const token: string = signedIn.accessToken;
  return {
    name,
    email,
    password,
    userId: signedIn.viewer.user.id,
    token,
    refreshToken: signedIn.refreshToken,
    ask: (document, variables) => server.ask(document, variables, token),
    post: (document, variables) => server.post(document, variables, { token }),
  };
}

/** Signs in the same user on another device, which opens another session. */
export async function signIn(server: TestClient, person: Person): Promise<Person> {
  const { signIn: signedIn } = await server.ask(
    'mutation ($input: SignInInput!) { signIn(input: $input) { ... on SignedIn { accessToken refreshToken } } }',
    { input: { email: person.email, password: person.password } },
  );
  const token: string = signedIn.accessToken;
  return {
    ...person,
    token,
    refreshToken: signedIn.refreshToken,
    ask: (document, variables) => server.ask(document, variables, token),
    post: (document, variables) => server.post(document, variables, { token }),
  };
}

/** Signs up several users in parallel. Returns the users in the order of their names in the call. */
export async function signUpAll<const Names extends readonly string[]>(
  server: TestClient,
  ...names: Names
): Promise<{ -readonly [Index in keyof Names]: Person }> {
  const people = await Promise.all(names.map((name) => signUp(server, name)));
  // The cast is safe because there is one person for each name.
  return people as { -readonly [Index in keyof Names]: Person };
}
