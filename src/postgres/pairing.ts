// A statement that reads values for many inputs numbers the inputs (`unnest(…) with ordinality`) and returns the
// number, counted from 1, as `index`. These functions assign the rows to the inputs.

/** Returns one value per input, in the order of the inputs, with `missing` for each input without a row. */
export function pairOne<Row extends { index: number }, Value, Missing>(
  rows: readonly Row[],
  inputs: readonly unknown[],
  { value, missing }: { value: (row: Row) => Value; missing: Missing },
): (Value | Missing)[] {
  const paired: (Value | Missing)[] = inputs.map(() => missing);
  for (const row of rows) paired[row.index - 1] = value(row);
  return paired;
}

/** Returns a list of values for each input. Both inputs and rows keep their order. */
export function pairMany<Row extends { index: number }, Value>(
  rows: readonly Row[],
  inputs: readonly unknown[],
  value: (row: Row) => Value,
): Value[][] {
  const paired: Value[][] = inputs.map(() => []);
  for (const row of rows) paired[row.index - 1]?.push(value(row));
  return paired;
}
