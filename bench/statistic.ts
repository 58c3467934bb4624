/**
 * The median, and the spread around it as a percentage of the median: half the difference between the highest and the
 * lowest value.
 */
export type Summary = { median: number; spreadPercent: number };

/** The median, and how far the values spread around it. */
export function summarise(values: readonly number[]): Summary {
  const median = percentile(values, 50);
  const halfRange = (Math.max(...values) - Math.min(...values)) / 2;
  return { median, spreadPercent: median === 0 ? 0 : (100 * halfRange) / median };
}

/** The value that `percent` % of all values do not exceed. */
export function percentile(values: readonly number[] | Float64Array, percent: number): number {
  const sorted = Float64Array.from(values).toSorted();
  const index = Math.ceil((percent / 100) * sorted.length) - 1;
  return sorted[Math.max(0, index)] ?? Number.NaN;
}

/** Returns a[0] / b[0], a[1] / b[1] and so on, which compares figures of the same round with each other. */
export function ratios(above: readonly number[], below: readonly number[]): number[] {
  return above.map((value, index) => value / (below[index] ?? Number.NaN));
}
