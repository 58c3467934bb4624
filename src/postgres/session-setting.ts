import type pg from 'pg';

/**
 * How long PostgreSQL lets an open transaction wait for its next statement, in ms. Such a transaction may hold locks.
 */
export const idleInTransactionMs = 5_000;

/**
 * Sent when a connection starts. Every version and mode of PgBouncer tracks these settings per client. They override
 * the defaults of the database and the role.
 */
export const startupSettings = {
  client_encoding: 'UTF8',
  DateStyle: 'ISO, MDY',
  TimeZone: 'UTC',
  standard_conforming_strings: 'on',
};

/**
 * Set right after connecting. These are all other settings whose defaults in the database or the role could change what
 * statements mean or whether they can run. Operators decide about settings that affect only time or space, and about
 * `synchronous_commit`, which every transaction that writes events turns on anyway.
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
  default_transaction_isolation: 'read committed',
  default_transaction_deferrable: 'off',
  session_replication_role: 'origin',
  lock_timeout: '0',
  idle_session_timeout: '0',
  transaction_timeout: '0',
} as const;

/** The settings that depend on the purpose of a connection. `null` means no limit. */
export type SessionOptions = {
  statementMs: number | null;
  idleInTransactionMs: number | null;
  /**
   * Whether to write even if the database defaults to read-only. This applies only to a default that existed when this
   * node started. A default that is set while the node is running is an operator's decision.
   */
  overridesReadOnly: boolean;
};

/**
 * Makes a new connection independent of the defaults of its database and role. Resolves to whether PostgreSQL refuses
 * writes on the connection. It does so if the server is a standby, or because of a default that is not overridden.
 * Rejects if the role may not change a setting, such as `session_replication_role`, which only a superuser can set or
 * reset.
 */
export async function prepareSession(client: pg.ClientBase, options: SessionOptions): Promise<{ isReadOnly: boolean }> {
  const wanted: Record<string, string> = {
    ...sessionSettings,
    statement_timeout: String(options.statementMs ?? 0),
    idle_in_transaction_session_timeout: String(options.idleInTransactionMs ?? 0),
    ...(options.overridesReadOnly && { default_transaction_read_only: 'off' }),
  };
  const list = Object.entries(wanted).map(([name, value]) => `('${name}', '${value}')`);
  // Skips settings that this version of PostgreSQL does not know. Also skips settings that already have the right
  // value, because changing those may require a superuser.
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
