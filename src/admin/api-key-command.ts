import { scopes, type Scope } from '../core/scope.ts';
import { inTransaction } from '../postgres/client.ts';
import { insertApiKey, readNewKey } from './api-key.ts';
import { Misuse, readArguments, type Command } from './command.ts';

/** Creates a server key, and prints only its secret, so that a script can store it. */
export const apiKey: Command = {
  usage: 'api-key NAME SCOPE… [--expires TIME]',
  meaning: `creates an API key and prints its secret; SCOPE: ${scopes.join(', ')}`,
  run: async ({ db }, args) => {
    const { texts, options } = readArguments(args, { texts: { min: 2, max: 1 + scopes.length }, options: ['expires'] });
    const [name = '', ...wanted] = texts;
    const key = readNewKey({ name, scopes: wanted.map(readScope), expiresAt: readExpiry(options.expires) });
    const created = await inTransaction(db, (transaction) =>
      insertApiKey(transaction, { ...key, botId: null, creatorId: null }),
    );
    return created.secret;
  },
};

function readScope(text: string): Scope {
  const scope = scopes.find((each) => each === text.toUpperCase());
  if (scope === undefined) throw new Misuse(`There is no scope ${text}.`);
  return scope;
}

function readExpiry(text: string | undefined): Date | null {
  if (text === undefined) return null;
  const expiresAt = new Date(text);
  if (Number.isNaN(expiresAt.getTime())) throw new Misuse(`${text} is not a time.`);
  return expiresAt;
}
