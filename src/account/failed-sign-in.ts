import { noMetrics, type Metrics } from '../core/metric.ts';
import type { Report } from '../core/report.ts';
import { InvalidCredentials, RateLimited } from '../errors.ts';

/** The dependencies for recording a failed sign-in. */
export type Noting = { report?: Report | undefined; metrics?: Metrics | undefined };

/**
 * Runs a sign-in, and counts and reports it if the credentials are wrong or if there were too many attempts. The report
 * contains neither the email address nor any part of the credentials.
 */
export async function noteFailedSignIn<Result>(
  { report, metrics = noMetrics }: Noting,
  { method, address }: { method: 'password' | 'token'; address: string },
  signIn: () => Promise<Result>,
): Promise<Result> {
  try {
    return await signIn();
  } catch (error) {
    const code = codeOf(error);
    if (code !== null) {
      metrics.count('signInFailures', { method, code });
      report?.('info', 'a sign-in failed', { method, code, address });
    }
    throw error;
  }
}

/** Returns null for an error other than wrong credentials or too many attempts. */
function codeOf(error: unknown): string | null {
  if (error instanceof InvalidCredentials) return error.code;
  return error instanceof RateLimited ? 'RATE_LIMITED' : null;
}
