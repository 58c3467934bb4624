import pg from 'pg';
import { CannotStart } from '../errors.ts';
import { Connection } from './connection.ts';
import { prepareSession } from './session-setting.ts';

/** How long connecting may take, and each statement of the inspection, in ms. */
const startLimitMs = 10_000;

type Database = { version: number; encoding: string; isStandby: boolean; isReadOnlyByDefault: boolean };

/**
 * Inspects the database before anything is done to it. Throws CannotStart, with what to do, if it can't be reached or
 * is not suitable: not UTF8, older than PostgreSQL 15, a standby, or with defaults that the role may not change.
 * Resolves to whether the database or the role defaults to read-only: a node that finds this at startup writes anyway.
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
  if (version < 150_000) return `is PostgreSQL ${Math.floor(version / 10_000)}: parley needs 15 or newer.`;
  if (encoding !== 'UTF8') {
    return `has the encoding ${encoding}, but parley needs UTF8: create another with \`create database … encoding 'UTF8' template template0\`.`;
  }
  return isStandby ? 'is a read-only standby: the URL must point to the primary.' : null;
}

/** A setting that can't be changed here could not be changed on any connection. */
async function trySettings(client: pg.Client, url: string): Promise<void> {
  try {
    await prepareSession(client, { statementMs: null, idleInTransactionMs: null, overridesReadOnly: false });
  } catch (error) {
    if (!(error instanceof pg.DatabaseError)) throw error;
    throw new CannotStart(
      `The database ${nameOf(url)} or its role has defaults that this role may not change (${error.message}): undo them with \`alter database … reset …\` or \`alter role … reset …\`.`,
      { cause: error },
    );
  }
}

/**
 * Opens a connection outside the pool. `limitMs` is how long each statement may take, or null for no limit. Throws
 * CannotStart if the database can't be reached.
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

/** The message of an error, or the messages of all errors in an AggregateError, without their details. */
export function describeFailure(error: unknown): string {
  // A host name with several addresses fails with one error for each, and the AggregateError's own message is empty.
  if (error instanceof AggregateError) return error.errors.map((each) => describeFailure(each)).join(', ');
  return (error as Error).message;
}

function nameOf(url: string): string {
  const { host, pathname } = new URL(url);
  return `${host}${pathname}`;
}
