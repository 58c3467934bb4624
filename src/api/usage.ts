import type { LimitState } from '../core/rate-limit.ts';

/**
 * The resources that one operation has used. `cost` is its complexity (measure.ts). `limit` is the state of one of the
 * limits that the operation counted against: the limit with the smallest share left.
 */
export type Usage = { cost: number | null; limit: LimitState | null };

/** Returns the usage of an operation that has not started. */
export function noUsage(): Usage {
  return { cost: null, limit: null };
}

/**
 * Reports the usage of an operation to the client, in the headers of the response: `parley-cost`, and the headers of
 * draft-ietf-httpapi-ratelimit-headers-11. Call this function before the response headers are sent.
 */
export function tellUsage(
  response: { setHeader: (name: string, value: string) => unknown },
  { cost, limit }: Usage,
): void {
  if (cost !== null) response.setHeader('parley-cost', String(cost));
  if (limit === null) return;
  for (const [name, value] of Object.entries(rateHeaders(limit))) response.setHeader(name, value);
}

/** Returns the headers that describe a limit: its quota, how much of it is left, and when it resets. */
export function rateHeaders({ setting, quota, remaining, resetSeconds }: LimitState): Record<string, string> {
  return {
    'ratelimit-policy': `"${setting}";q=${quota.count};w=${quota.windowSeconds}`,
    ratelimit: `"${setting}";r=${remaining};t=${resetSeconds}`,
  };
}
