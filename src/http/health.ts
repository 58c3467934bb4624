import { type Handler, sendJson } from './respond.ts';

/**
 * The conditions for accepting requests, each under the name that operators see. If a check returns a string, the
 * condition is not met, and the string says why.
 */
export type Checks = Record<string, () => CheckResult | Promise<CheckResult>>;

type CheckResult = boolean | string;

/**
 * Serves `/livez`, which reports that the process responds and should be left running, and `/readyz`, which responds
 * with 200 if every check passes. Otherwise, `/readyz` responds with 503, the names of the failed checks and any known
 * reasons. Requests should then be sent elsewhere.
 */
export function serveHealth(checks: Checks): { '/livez': Handler; '/readyz': Handler } {
  return {
    '/livez': (_, response) => {
      response.setHeader('cache-control', 'no-store');
      sendJson(response, 200, { status: 'ok' });
    },
    '/readyz': async (_, response) => {
      const outcomes = await Promise.all(
        Object.entries(checks).map(async ([name, holds]) => [name, await holds()] as const),
      );
      const failed = outcomes.filter(([, outcome]) => outcome !== true);
      const reasons = failed.filter(([, outcome]) => typeof outcome === 'string');
      response.setHeader('cache-control', 'no-store');
      if (failed.length === 0) return sendJson(response, 200, { status: 'ok' });
      sendJson(response, 503, {
        status: 'not ready',
        failed: failed.map(([name]) => name),
        ...(reasons.length > 0 && { reasons: Object.fromEntries(reasons) }),
      });
    },
  };
}
