import {
  createLocalJWKSet,
  createRemoteJWKSet,
  customFetch,
  errors,
  type FetchImplementation,
  type JWTVerifyGetKey,
} from 'jose';
import type { Egress } from '../core/egress.ts';
import { isRecord, parseJson } from '../core/json.ts';
import type { Report } from '../core/report.ts';
import { IssuerUnavailable } from '../errors.ts';
import type { Issuer } from './issuer.ts';

/**
 * The limits for a JWK set: the time within which it must arrive, and the number of bytes that it may have. The sets of
 * large providers take 10 KB.
 */
const limits = { maxMs: 5_000, maxBytes: 512 * 1024 };
/** After a failure, the keys are not fetched again for this long, no matter how many tokens need them. */
const pauseMs = 5_000;

/** The dependencies for fetching keys. */
export type KeySource = { egress: Egress; report: Report };

/**
 * Returns a function that finds an issuer's keys. Keys at a URL are cached for 10 minutes. A token that names an
 * unknown key causes another fetch, but at most one every 30 s (jose's createRemoteJWKSet). Throws IssuerUnavailable
 * while the keys cannot be fetched.
 */
export function findKeysOf({ issuer, keys }: Pick<Issuer, 'issuer' | 'keys'>, source: KeySource): JWTVerifyGetKey {
  if (keys.kind === 'PUBLIC') return createLocalJWKSet({ keys: keys.keys });
  if (keys.kind === 'URL') {
    // Longer than our own limit, so that our limit applies.
    const timeoutDuration = limits.maxMs * 2;
    return createRemoteJWKSet(keys.url, { [customFetch]: fetchKeys(issuer, source), timeoutDuration });
  }
  return async ({ kid }) => {
    const [only, ...others] = keys.keys.filter((key) => kid === undefined || key.kid === null || key.kid === kid);
    if (only === undefined || others.length > 0) throw new errors.JWKSNoMatchingKey();
    return only.secret;
  };
}

function fetchKeys(issuer: string, { egress, report }: KeySource): FetchImplementation {
  let failedAt = -Infinity;
  return async (url, { headers }) => {
    if (performance.now() - failedAt < pauseMs) throw unavailable();
    try {
      const { status, body } = await egress.send(new URL(url), { headers: Object.fromEntries(headers), ...limits });
      if (status !== 200) throw new Error(`the response has the status ${status}`);
      const set = parseJson(body.toString('utf8'));
      if (!isRecord(set) || !Array.isArray(set['keys']) || !set['keys'].every(isRecord)) {
        throw new Error('the response is not a JWK set');
      }
      return new Response(body.toString('utf8'), { status });
    } catch (error) {
      failedAt = performance.now();
      report('warn', 'the keys of an issuer cannot be fetched', { issuer, error });
      throw unavailable(error);
    }
  };
}

function unavailable(cause?: unknown): IssuerUnavailable {
  return new IssuerUnavailable('The keys of the system that issued the token cannot be fetched: try again later.', {
    cause,
  });
}
