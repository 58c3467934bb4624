import type pg from 'pg';

/** How long, in ms, PostgreSQL lets an open transaction wait for its next statement: its locks go with it. */
export const idleInTransactionMs = 5_000;

/**
 * Sent as a connection begins: PgBouncer knows just these, of whatever age and mode it is, and gives each client its own.
 * Whatever the database or the role says otherwise does not count.
 */
export const startupSettings = {
  client_encoding: 'UTF8',
  DateStyle: 'ISO, MDY',
  TimeZone: 'UTC',
  standard_conforming_strings: 'on',
};

/**
 * Set right after: what the database's or the role's own defaults could change of what statements mean, or of whether
 * they run. Left to the operator: what only costs time or space, and `synchronous_commit`, which the log sets for itself.
 */
const sessionSettings = {
  search_path: 'public',
  IntervalStyle: 'postgres',
  bytea_output: 'hex',
  extra_float_digits: '1',
  xmloption: 'content',
  array_nulls: 'on',
  transform_null_equals: 'off',
  backslash_quote: 'safe_encoding',
  quote_all_identifiers: 'off',
  gin_fuzzy_search_limit: '0',
  exit_on_error: 'off',
  row_security: 'on',
  jit: 'off',
  plan_cache_mode: 'auto',
  client_min_messages: 'warning',
  default_transaction_isolation: 'read committed',
  default_transaction_deferrable: 'off',
  session_replication_role: 'origin',
  lock_timeout: '0',
  idle_session_timeout: '0',
  transaction_timeout: '0',
} as const;

/** What differs from one purpose of a connection to another. `null`: without a limit. */
export type SessionOptions = {
  statementMs: number | null;
  idleInTransactionMs: number | null;
  /**
   * Whether to write also where the database's default is not to. For a default that was there when this node started:
   * one that appears while it runs is an operator's word.
   */
  overridesReadOnly: boolean;
};

/**
 * Makes a new connection independent of the defaults of its database and role. Resolves to whether PostgreSQL
 * refuses writes on it: a standby, or a default that is not overridden. Rejects when a setting may not be
 * changed (`session_replication_role`, which takes a superuser to set and one to take back).
 */
export async function prepareSession(client: pg.ClientBase, options: SessionOptions): Promise<{ isReadOnly: boolean }> {
  const wanted: Record<string, string> = {
    ...sessionSettings,
    statement_timeout: String(options.statementMs ?? 0),
    idle_in_transaction_session_timeout: String(options.idleInTransactionMs ?? 0),
    ...(options.overridesReadOnly && { default_transaction_read_only: 'off' }),
  };
  const list = Object.entries(wanted).map(([name, value]) => `('${name}', '${value}')`);
  // Those that this PostgreSQL does not know are left out, as are those that need not change: that may take a superuser.
  await client.query(`select set_config(name, value, false) from (values ${list.join(', ')}) as wanted (name, value)
    where current_setting(name, true) is not null and current_setting(name, true) <> value`);
  return { isReadOnly: await isReadOnly(client) };
}

/** Whether PostgreSQL refuses writes on this connection. */
async function isReadOnly(client: pg.ClientBase): Promise<boolean> {
  const { rows } = await client.query<{ isReadOnly: boolean }>(
    `select pg_is_in_recovery() or current_setting('default_transaction_read_only')::boolean as "isReadOnly"`,
  );
  return rows[0]?.isReadOnly === true;
}
