/**
 * A measurement of several runs of the same work: how many times the work was done, how many items it processed in
 * total, and what it cost.
 */
export type Point = { times: number; things: number; cost: number };

/** The cost of each repetition, and the additional cost per item: `cost ≈ times × each + things × per`. */
export type Line = { each: number; per: number };

/** Half a clock tick, in µs: CPU time is counted in ticks of 10 ms. */
const resolution = 5_000;

/**
 * Fits a line to the points by weighted least squares. Each point is weighted by its relative error, so that expensive
 * points do not dominate. Neither `each` nor `per` can be negative.
 */
export function fit(points: readonly Point[]): Line {
  let [tt, tn, nn, tc, nc] = [0, 0, 0, 0, 0];
  for (const { times, things, cost } of points) {
    const weight = 1 / Math.max(cost, resolution) ** 2;
    tt += weight * times * times;
    tn += weight * times * things;
    nn += weight * things * things;
    tc += weight * times * cost;
    nc += weight * things * cost;
  }
  const determinant = tt * nn - tn * tn;
  const each = (tc * nn - nc * tn) / determinant;
  const per = (nc * tt - tc * tn) / determinant;
  if (each < 0) return { each: 0, per: nc / nn };
  return per < 0 ? { each: tc / tt, per: 0 } : { each, per };
}
