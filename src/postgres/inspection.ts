import pg from 'pg';
import { CannotStart } from '../errors.ts';
import { Connection } from './connection.ts';
import { prepareSession } from './session-setting.ts';

/** The time limit, in ms, for connecting and for each statement of the inspection. */
const startLimitMs = 10_000;

type Database = { version: number; encoding: string; isStandby: boolean; isReadOnlyByDefault: boolean };

/**
 * Inspects the database before anything is done to it. Throws CannotStart, with advice on what to do, if the database
 * can't be reached or is not suitable: if it is not UTF8, is older than PostgreSQL 15, is a standby, or has defaults
 * that the role may not change. Resolves to whether the database or the role defaults to read-only. A node that finds
 * such a default at startup writes anyway.
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

/** Tries the settings here, because a setting that can't be changed here can't be changed on any other connection. */
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
 * Opens a connection outside the pool. `limitMs` is how long each statement may take; null means no limit. Throws
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

/** Returns the message of an error, or the messages of all errors in an AggregateError, without their details. */
export function describeFailure(error: unknown): string {
  // If a host name has several addresses, a failure produces one error for each address, and the AggregateError's own
  // message is empty.
  if (error instanceof AggregateError) return error.errors.map((each) => describeFailure(each)).join(', ');
  return (error as Error).message;
}

function nameOf(url: string): string {
  const { host, pathname } = new URL(url);
  return `${host}${pathname}`;
}
