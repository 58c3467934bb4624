import type { LimitState } from '../core/rate-limit.ts';

/**
 * What one operation has used: its `cost`, which is its complexity (measure.ts), and, of the limits that the operation
 * counted against, the state of the one with the smallest share left.
 */
export type Usage = { cost: number | null; limit: LimitState | null };

/** The usage of an operation that has not begun. */
export function noUsage(): Usage {
  return { cost: null, limit: null };
}

/**
 * Tells the client what an operation has used, in the headers of the response: `parley-cost`, and those of
 * draft-ietf-httpapi-ratelimit-headers-11. Call this before the head of the response is sent.
 */
export function tellUsage(
  response: { setHeader: (name: string, value: string) => unknown },
  { cost, limit }: Usage,
): void {
  if (cost !== null) response.setHeader('parley-cost', String(cost));
  if (limit === null) return;
  for (const [name, value] of Object.entries(rateHeaders(limit))) response.setHeader(name, value);
}

/** The headers that describe a limit: its quota, and how much is left for how long. */
export function rateHeaders({ setting, quota, remaining, resetSeconds }: LimitState): Record<string, string> {
  return {
    'ratelimit-policy': `"${setting}";q=${quota.count};w=${quota.windowSeconds}`,
    ratelimit: `"${setting}";r=${remaining};t=${resetSeconds}`,
  };
}
