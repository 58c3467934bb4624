/**
 * Returns `unnest` of a statement's parameters, for use in named statements: `from ${unnest('$1::bigint[]',
 * '$2::int[]')} as w (id, seq)`.
 *
 * If the parameters are passed directly, PostgreSQL sees how short the arrays are, and estimates a lower cost than it
 * does for the ten rows that it otherwise assumes. It therefore plans the statement again each time the statement runs.
 * A subquery hides the arrays from the planner, so that it keeps one plan. A page of 50 messages then takes PostgreSQL
 * 0.8 ms instead of 1.7 ms. https://www.postgresql.org/docs/current/sql-prepare.html
 */
export function unnest(...parameters: readonly `$${number}::${string}[]`[]): string {
  return `unnest(${parameters.map((parameter) => `(select ${parameter})`).join(', ')})`;
}
