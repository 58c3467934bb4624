import { createHash, randomBytes } from 'node:crypto';
import { ask, post, type Answer, type Data, type Variables } from './client.ts';
import type { TestServer } from './server.ts';

/** A program with an server-wide API key, written to the database as an operator's command would. */
export type Program = {
  secret: string;
  ask: (document: string, variables?: Variables) => Promise<Data>;
  post: (document: string, variables?: Variables, headers?: Record<string, string>) => Promise<Answer>;
  on: (node: TestServer) => Program;
};

/** Creates a key with these scopes. */
export async function createKey(server: TestServer, scopes: readonly string[]): Promise<Program> {
  const secret = `parley_${randomBytes(32).toString('base64url')}`;
  await server.sql.query(
    `insert into api_keys (name, secret_hash, hint, scopes) values ('test', $1, $2, $3::scope[])`,
    [createHash('sha256').update(secret).digest(), secret.slice(0, 'parley_'.length + 4), scopes],
  );
  return programOn(server, secret);
}

function programOn(node: TestServer, secret: string): Program {
  return {
    secret,
    ask: (document, variables) => ask(node.url, document, variables, secret),
    post: (document, variables, headers = {}) => post(node.url, document, variables, { token: secret, headers }),
    on: (another) => programOn(another, secret),
  };
}
