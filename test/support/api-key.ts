import { encodeId } from '../../src/core/id.ts';
import { createSecret } from '../../src/core/secret.ts';
import type { Answer, Data, Person, TestClient, Variables } from './client.ts';
import type { TestServer } from './server.ts';

/**
 * A program with an API key. `ask` and `post` work like those of a person. `as` returns the same program, acting as
 * that user.
 */
export type Program = {
  keyId: string;
  token: string;
  ask: (document: string, variables?: Variables) => Promise<Data>;
  post: (document: string, variables?: Variables) => Promise<Answer>;
  as: (user: string) => Program;
  /** Returns the same program on another node. */
  on: (node: TestClient) => Program;
};

/** A program that speaks for a bot. */
export type Bot = Program & { userId: string; name: string };

const error = '... on Error { code message }';
const field = '... on InvalidInput { fields { path code } }';
const created = '... on CreatedApiKey { secret apiKey { id name scopes hint expiresAt bot { id username kind } } }';

/** Asks for a server key. Returns the whole result, including errors. */
export async function tryCreateApiKey(by: Pick<Person, 'ask'>, input: Variables): Promise<Data> {
  const document = `mutation ($input: CreateApiKeyInput!) {
    outcome: createApiKey(input: $input) { __typename ${created} ${error} ${field} }
  }`;
  return (await by.ask(document, { input })).outcome;
}

/** Asks for a bot. Returns the whole result, including errors. */
export async function tryCreateBot(by: Pick<Person, 'ask'>, input: Variables): Promise<Data> {
  const document = `mutation ($input: CreateBotInput!) {
    outcome: createBot(input: $input) { __typename ${created} ${error} ${field} }
  }`;
  return (await by.ask(document, { input })).outcome;
}

/** Asks to revoke a key. Returns the whole result. */
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

/**
 * Returns a program whose key is written directly to the database, as an operator's command would do it. `botId` is the
 * row id of the bot that the program speaks for, or null for a server key. `seconds` is how long the key is valid. Null
 * means forever.
 */
export async function insertProgram(
  server: TestServer,
  scopes: readonly string[],
  { botId = null, seconds = null }: { botId?: string | null; seconds?: number | null } = {},
): Promise<Program> {
  const { secret, hash } = createSecret('apiKey');
  const { rows } = await server.sql.query<{ id: bigint }>(
    `insert into api_keys (name, secret_hash, hint, scopes, bot_id, expires_at)
    values ('Shop', $1, $2, $3::scope[], $4, clock_timestamp() + $5 * interval '1 s') returning id`,
    [hash, secret.slice(0, 'parley_'.length + 4), scopes, botId, seconds],
  );
  return programWith(server, { keyId: encodeId('ApiKey', String(rows[0]?.id)), secret });
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

/** Returns a program that uses a key on this server, which need not be the node that created the key. */
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
    on: (node) => programWith(node, { keyId, secret, ...(actAs !== undefined && { actAs }) }),
  };
}
