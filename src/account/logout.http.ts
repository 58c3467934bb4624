import type { Services } from '../api/context.ts';
import { limitHeaders } from '../api/limit.ts';
import type { Report } from '../core/report.ts';
import { InvalidCredentials, IssuerUnavailable, RateLimited } from '../errors.ts';
import { readForm } from '../http/body.ts';
import { HttpError } from '../http/http-error.ts';
import { refuse, refuseWith } from '../http/refusal.ts';
import type { Handler } from '../http/respond.ts';
import { endForeignSessions } from './logout.ts';

/** The maximum size of the form, which contains one token of up to 8,192 characters. */
const maxBodyBytes = 16 * 1024;

/**
 * `POST /auth/logout`: receives the logout tokens of the issuers in AUTH_ISSUERS (OpenID Connect Back-Channel Logout
 * 1.0, 2.5), as a form with the field `logout_token`. Responds with 200 when it has ended what the token names, and
 * with 400 if it does not accept the token. It also logs each refusal, because otherwise only the issuer would know
 * about it.
 */
export function serveLogout({ accounts, limits, addressOf }: Services, report: Report): Handler {
  return async (request, response) => {
    response.setHeader('cache-control', 'no-store');
    if (request.method !== 'POST') {
      response.setHeader('allow', 'POST');
      await refuse(request, response, { status: 405, body: { error: 'Send logout tokens by POST.' } });
      return;
    }
    const counted = { address: addressOf(request) };
    try {
      await limits.refuseExhausted('failedLogouts', counted);
      const token = (await readForm(request, maxBodyBytes)).get('logout_token');
      if (token === null) throw new InvalidCredentials('The form has no logout_token.');
      await endForeignSessions(accounts, token);
      response.writeHead(200, { 'content-length': 0 }).end();
    } catch (error) {
      if (error instanceof HttpError) await refuseWith(error, request, response);
      else if (error instanceof InvalidCredentials) {
        await limits.tries('failedLogouts', counted);
        report('warn', 'a logout token was refused: its user stays signed in', { reason: error.message });
        const body = { error: 'invalid_request', error_description: error.message };
        await refuse(request, response, { status: 400, body });
      } else if (error instanceof IssuerUnavailable) {
        const headers = { 'retry-after': '5' };
        await refuse(request, response, { status: 503, body: { error: error.message }, headers });
      } else if (error instanceof RateLimited) {
        const headers = limitHeaders({ retryAfterSeconds: error.retryAfterSeconds, ...error.reached });
        await refuse(request, response, { status: 429, body: { error: error.message }, headers });
      } else throw error;
    }
  };
}
