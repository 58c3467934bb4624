import { parseArgs, type ParseArgsOptionsConfig } from 'node:util';
import type { Db } from '../postgres/client.ts';
import { isVisiblePerson } from '../chat/visibility.ts';
import type { StoreSettings } from '../file/store/open.ts';

/**
 * The dependencies of the commands. `appUrl`: the URL that links lead to; null if APP_URL is not set. `storage`: where
 * the bytes of files are stored.
 */
export type Operator = { db: Db; appUrl: string | null; storage: StoreSettings };

/**
 * A command of `npm run -s admin`. `usage` lists the command's arguments, and `meaning` says what the command does.
 * `run` returns the text to print. Anyone who has access to the database can run a command, so the audit log names no
 * actor for it.
 */
export type Command = {
  usage: string;
  meaning: string;
  run: (operator: Operator, args: string[]) => Promise<string>;
};

/** A mistake by the operator, which the message describes. */
export class Misuse extends Error {}

/**
 * Splits a command's arguments into positional arguments and options with a value. Throws Misuse if they do not match
 * what the command accepts.
 */
export function readArguments<const Name extends string>(
  args: string[],
  { texts, options = [] }: { texts: { min: number; max: number }; options?: readonly Name[] },
): { texts: string[]; options: Partial<Record<Name, string>> } {
  const known: ParseArgsOptionsConfig = Object.fromEntries(options.map((name) => [name, { type: 'string' }]));
  const { positionals, values } = parse(args, known);
  if (positionals.length < texts.min) throw new Misuse('An argument is missing.');
  if (positionals.length > texts.max) throw new Misuse('There are too many arguments.');
  // The cast is safe, because each known option is a string.
  return { texts: positionals, options: values as Partial<Record<Name, string>> };
}

function parse(args: string[], options: ParseArgsOptionsConfig) {
  try {
    return parseArgs({ args, options, allowPositionals: true });
  } catch (error) {
    throw new Misuse((error as Error).message, { cause: error });
  }
}

/** An account that an operator named. */
export type Account = { id: bigint; username: string; email: string | null };

/** Finds an account by its username or its email address, ignoring case. Throws Misuse if there is no such account. */
export async function findAccount({ pool }: Db, name: string): Promise<Account> {
  // A username contains no @. Raw SQL, because Prisma cannot express fold(), the function that the indexes use.
  const { rows } = await pool.query<Account>(
    `select u.id, u.username, u.email from users u
    where ${name.includes('@') ? 'fold(u.email)' : 'fold(u.username)'} = fold($1) and ${isVisiblePerson('u')}`,
    [name],
  );
  if (rows[0] === undefined) throw new Misuse(`There is no account ${name}.`);
  return rows[0];
}
