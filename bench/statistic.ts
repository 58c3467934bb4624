/**
 * The median of some values, and their spread: half the difference between the highest and the lowest value, as a
 * percentage of the median.
 */
export type Summary = { median: number; spreadPercent: number };

/** Returns the median of the values and their spread. */
export function summarise(values: readonly number[]): Summary {
  const median = percentile(values, 50);
  const halfRange = (Math.max(...values) - Math.min(...values)) / 2;
  return { median, spreadPercent: median === 0 ? 0 : (100 * halfRange) / median };
}

/** Returns the value that `percent` % of the values do not exceed. */
export function percentile(values: readonly number[] | Float64Array, percent: number): number {
  const sorted = Float64Array.from(values).toSorted();
  const index = Math.ceil((percent / 100) * sorted.length) - 1;
  return sorted[Math.max(0, index)] ?? Number.NaN;
}

/**
 * Divides each value of `above` by the value of `below` with the same index, to compare figures from the same round.
 */
export function ratios(above: readonly number[], below: readonly number[]): number[] {
  return above.map((value, index) => value / (below[index] ?? Number.NaN));
}
