// Statements that answer many inputs at once number them (`unnest(…) with ordinality`) and return the number, counted
// from 1, as `index`. These pair the rows with the inputs again.

/** One row per input, in the order of the inputs; `missing` where there is none. */
export function pairOne<Row extends { index: number }, Value, Missing>(
  rows: readonly Row[],
  inputs: readonly unknown[],
  { value, missing }: { value: (row: Row) => Value; missing: Missing },
): (Value | Missing)[] {
  const paired: (Value | Missing)[] = inputs.map(() => missing);
  for (const row of rows) paired[row.index - 1] = value(row);
  return paired;
}

/** All rows of each input, in the order of the inputs and, for each, of the rows. */
export function pairMany<Row extends { index: number }, Value>(
  rows: readonly Row[],
  inputs: readonly unknown[],
  value: (row: Row) => Value,
): Value[][] {
  const paired: Value[][] = inputs.map(() => []);
  for (const row of rows) paired[row.index - 1]?.push(value(row));
  return paired;
}
