import pg from 'pg';
import { CannotStart } from '../errors.ts';
import { Connection } from './connection.ts';
import { prepareSession } from './session-setting.ts';

/** In ms: what connecting, and one statement, may take of the connections that a start needs. */
const startLimitMs = 10_000;

type Database = { version: number; encoding: string; isStandby: boolean; isReadOnlyByDefault: boolean };

/**
 * Looks at the database before anything is done to it. Throws CannotStart, with what to do, when it can't be reached or
 * is not one to keep chats in: not UTF8, older than PostgreSQL 15, a standby. Resolves to whether its default, or the
 * role's, is not to write: a node that starts so writes nevertheless.
 */
export async function inspectDatabase(url: string): Promise<{ isReadOnlyByDefault: boolean }> {
  const client = await openConnection(url, { limitMs: startLimitMs });
  try {
    const { rows } = await client.query<Database>(
      `select current_setting('server_version_num')::int as version, pg_is_in_recovery() as "isStandby",
        pg_encoding_to_char(encoding) as encoding,
        current_setting('default_transaction_read_only')::boolean as "isReadOnlyByDefault"
      from pg_database where datname = current_database()`,
    );
    const database = rows[0];
    if (database === undefined) throw new Error('pg_database does not list this database');
    const reason = findReason(database);
    if (reason !== null) throw new CannotStart(`The database ${nameOf(url)} ${reason}`);
    await trySettings(client, url);
    return { isReadOnlyByDefault: database.isReadOnlyByDefault };
  } finally {
    await client.end();
  }
}

function findReason({ version, encoding, isStandby }: Database): string | null {
  if (version < 150_000) return `is PostgreSQL ${Math.floor(version / 10_000)}: 15 or newer is needed.`;
  if (encoding !== 'UTF8') {
    return `has the encoding ${encoding}, and only UTF8 holds what people write: create another by \`create database … encoding 'UTF8' template template0\`.`;
  }
  return isStandby ? 'is a standby, which only reads: the URL must lead to the primary.' : null;
}

/** What can't be set now could not be set on any connection. */
async function trySettings(client: pg.Client, url: string): Promise<void> {
  try {
    await prepareSession(client, { statementMs: null, idleInTransactionMs: null, overridesReadOnly: false });
  } catch (error) {
    if (!(error instanceof pg.DatabaseError)) throw error;
    throw new CannotStart(
      `The database ${nameOf(url)} or its role has defaults that this role may not change (${error.message}): take them back by \`alter database … reset …\` or \`alter role … reset …\`.`,
      { cause: error },
    );
  }
}

/**
 * A connection of one's own. `limitMs`: what each statement may take; null for no limit. Throws CannotStart when the
 * database can't be reached.
 */
export async function openConnection(url: string, { limitMs }: { limitMs: number | null }): Promise<Connection> {
  const client = new Connection({
    connectionString: url,
    connectionTimeoutMillis: startLimitMs,
    query_timeout: limitMs ?? 0,
    application_name: 'parley',
  });
  try {
    await client.connect();
    return client;
  } catch (error) {
    throw new CannotStart(`The database ${nameOf(url)} can't be reached: ${describeFailure(error)}.`, { cause: error });
  }
}

/** What an error says, of several the first, without what it was about. */
export function describeFailure(error: unknown): string {
  // A name with several addresses fails with one error each, and an empty message of its own.
  if (error instanceof AggregateError) return error.errors.map((each) => describeFailure(each)).join(', ');
  return (error as Error).message;
}

function nameOf(url: string): string {
  const { host, pathname } = new URL(url);
  return `${host}${pathname}`;
}
