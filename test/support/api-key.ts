import type { Answer, Data, Person, TestClient, Variables } from './client.ts';

/** A program with an API key. `ask` and `post` are as a person's; `as` makes it act as the user that the header names. */
export type Program = {
  keyId: string;
  token: string;
  ask: (document: string, variables?: Variables) => Promise<Data>;
  post: (document: string, variables?: Variables) => Promise<Answer>;
  as: (user: string) => Program;
};

/** A program that speaks for a bot. */
export type Bot = Program & { userId: string; name: string };

const error = '... on Error { code message }';
const field = '... on InvalidInput { fields { path code } }';
const created = '... on CreatedApiKey { secret apiKey { id name scopes hint expiresAt bot { id username kind } } }';

/** Asks for a server key, and returns the whole result, errors included. */
export async function tryCreateApiKey(by: Pick<Person, 'ask'>, input: Variables): Promise<Data> {
  const document = `mutation ($input: CreateApiKeyInput!) {
    outcome: createApiKey(input: $input) { __typename ${created} ${error} ${field} }
  }`;
  return (await by.ask(document, { input })).outcome;
}

/** The same for a bot. */
export async function tryCreateBot(by: Pick<Person, 'ask'>, input: Variables): Promise<Data> {
  const document = `mutation ($input: CreateBotInput!) {
    outcome: createBot(input: $input) { __typename ${created} ${error} ${field} }
  }`;
  return (await by.ask(document, { input })).outcome;
}

/** Asks to revoke a key, and returns the whole result. */
export async function revokeApiKey(by: Pick<Person, 'ask'>, apiKeyId: string): Promise<Data> {
  const document = `mutation ($apiKeyId: ID!) {
    outcome: revokeApiKey(apiKeyId: $apiKeyId) { __typename ... on ApiKey { id name } ${error} }
  }`;
  return (await by.ask(document, { apiKeyId })).outcome;
}

/** Creates a server key with these scopes, and returns a program that uses it. */
export async function createProgram(
  server: TestClient,
  admin: Pick<Person, 'ask'>,
  scopes: readonly string[],
): Promise<Program> {
  const { secret, apiKey } = await tryCreateApiKey(admin, { name: 'Shop', scopes });
  return programWith(server, { keyId: apiKey.id, secret });
}

/** Creates a bot, and returns the program that speaks for it. */
export async function createBot(
  server: TestClient,
  admin: Pick<Person, 'ask'>,
  { username, scopes = [] }: { username: string; scopes?: readonly string[] },
): Promise<Bot> {
  const { secret, apiKey } = await tryCreateBot(admin, { username, scopes });
  return { ...programWith(server, { keyId: apiKey.id, secret }), userId: apiKey.bot.id, name: username };
}

/** A program that uses a key on this server, which may be another node than the one that created it. */
export function programWith(
  server: TestClient,
  { keyId, secret, actAs }: { keyId: string; secret: string; actAs?: string },
): Program {
  const request = { token: secret, ...(actAs !== undefined && { headers: { 'parley-act-as': actAs } }) };
  const post = (document: string, variables?: Variables) => server.post(document, variables, request);
  return {
    keyId,
    token: secret,
    post,
    ask: async (document, variables) => {
      const { data, errors } = await post(document, variables);
      if (errors !== undefined) throw new Error(`${JSON.stringify(errors)} in answer to ${document}`);
      return data;
    },
    as: (user) => programWith(server, { keyId, secret, actAs: user }),
  };
}
