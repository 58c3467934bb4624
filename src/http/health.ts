import { type Handler, sendJson } from './respond.ts';

/**
 * The conditions for accepting requests, each under the name shown to operators; a string says why a condition fails.
 */
export type Checks = Record<string, () => CheckResult | Promise<CheckResult>>;

type CheckResult = boolean | string;

/**
 * `/livez`: the process answers, so leave it running. `/readyz`: 200 when every check passes; otherwise 503 with the
 * names of the failed checks and their reasons where known, so send requests elsewhere.
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
