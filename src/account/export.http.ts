import type { IncomingMessage, ServerResponse } from 'node:http';
import { identifyAsker, type Services } from '../api/context.ts';
import { demandAllowed } from '../api/scope.ts';
import { limitHeaders } from '../api/limit.ts';
import type { Asker } from '../core/asker.ts';
import { isRecord } from '../core/json.ts';
import {
  Conflict,
  Forbidden,
  InvalidCredentials,
  InvalidInput,
  IssuerUnavailable,
  RateLimited,
  Unauthenticated,
} from '../errors.ts';
import { describeDisposition } from '../file/content-disposition.ts';
import { readJson } from '../http/body.ts';
import { HttpError } from '../http/http-error.ts';
import { refuse } from '../http/refusal.ts';
import { asProblem, refuseWithProblem } from '../http/rest/problem.ts';
import type { Handler } from '../http/respond.ts';
import { HungUp, sendChunk } from '../http/send-chunk.ts';
import { unreadLimits } from '../http/unread.ts';
import { announceExport, exportPerson, requireExporter, requireStanding } from './export.ts';

/** The maximum size of the body, which contains a password, or a token of up to 8,192 characters. */
const maxBodyBytes = 16 * 1024;
/** How long an export may run before the server checks again that the user still has the right to it. */
const checkMs = 1_000;

/**
 * `/api/export`: sends the asker's data as a zip. Takes the password (or a recent token, see proof.ts) from the JSON
 * body of a POST, `{ "password": "…" }`, or from the header `parley-password` of a GET, but never from the URL, which
 * ends up in logs. Only exports that are sent completely count toward the limit.
 */
export function serveExport(services: Services): Handler {
  return async (request, response) => {
    response.setHeader('cache-control', 'no-store');
    if (request.method !== 'GET' && request.method !== 'POST') {
      response.setHeader('allow', 'GET, POST');
      await refuse(request, response, asProblem(405, 'Use GET or POST.'));
      return;
    }
    try {
      const asker = demandAllowed(await identifyAsker(services.accounts, request.headers), 'DEVICE');
      const { username } = await requireExporter(services.accounts, asker, await readSecret(request));
      await services.exports.during(asker.userId, () => countAndSend(services, asker, { response, username }));
      // Ends the response after the export slot is free, so that a client that has the whole zip can start another
      // export at once.
      response.end();
    } catch (error) {
      if (error instanceof HungUp) return;
      if (response.headersSent) giveUp(error, response);
      else await explain(error, request, response);
    }
  };
}

async function readSecret(request: IncomingMessage): Promise<string | null> {
  if (request.method === 'GET') {
    const header = request.headers['parley-password'];
    // Node decodes each byte of a header as one character, but clients such as curl send UTF-8.
    return typeof header === 'string' ? Buffer.from(header, 'latin1').toString('utf8') : null;
  }
  const { 'content-length': length, 'transfer-encoding': encoding } = request.headers;
  if (encoding === undefined && Number(length ?? 0) === 0) return null;
  const body = await readJson(request, maxBodyBytes);
  const password = isRecord(body) ? body['password'] : undefined;
  if (typeof password === 'string' || password === null) return password;
  throw new HttpError(400, 'Send JSON such as { "password": "…" }.');
}

async function countAndSend(
  services: Services,
  asker: Asker,
  { response, username }: { response: ServerResponse; username: string },
): Promise<void> {
  const counted = { userId: asker.userId };
  await services.limits.take('exports', counted);
  try {
    await announceExport(services.accounts, asker);
    const name = `${username}-${new Date().toISOString().slice(0, 10)}.zip`;
    response.writeHead(200, {
      'content-type': 'application/zip',
      'content-disposition': describeDisposition('application/zip', name),
      'access-control-expose-headers': 'content-disposition',
    });
    await send(services, asker, response);
  } catch (error) {
    await services.limits.giveBack('exports', counted);
    throw error;
  }
}

/**
 * Sends one chunk while it reads the next. The caller ends the response. A client must read an export as fast as any
 * other response, so that it does not occupy an export slot for days.
 */
async function send(services: Services, asker: Asker, response: ServerResponse): Promise<void> {
  let allowedMs = unreadLimits.ms;
  let checkedAt = performance.now();
  for await (const chunk of exportPerson(services, asker.userId)) {
    if (performance.now() - checkedAt > checkMs) {
      await requireStanding(services.db, asker);
      checkedAt = performance.now();
    }
    const startedAt = performance.now();
    await sendChunk(response, chunk, allowedMs);
    allowedMs += chunk.length / unreadLimits.charactersPerMs - (performance.now() - startedAt);
  }
  await requireStanding(services.db, asker);
}

/**
 * Cuts the connection, so that no client mistakes a partial export for a complete one. Does not report it as an error
 * if the session or the account has ended.
 */
function giveUp(error: unknown, response: ServerResponse): void {
  response.destroy();
  if (!(error instanceof Unauthenticated)) throw error;
}

async function explain(error: unknown, request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (error instanceof HttpError) return refuseWithProblem(error, request, response);
  const status = statusOf(error);
  if (status === null || !(error instanceof Error)) throw error;
  if (status === 401) response.setHeader('www-authenticate', 'Bearer');
  const headers =
    error instanceof RateLimited
      ? limitHeaders({ retryAfterSeconds: error.retryAfterSeconds, ...error.reached })
      : undefined;
  await refuse(request, response, { ...asProblem(status, error.message), headers });
}

function statusOf(error: unknown): number | null {
  if (error instanceof Unauthenticated) return 401;
  // Not 401, because clients would refresh their tokens and try again.
  if (error instanceof InvalidCredentials || error instanceof Forbidden) return 403;
  if (error instanceof InvalidInput) return 400;
  if (error instanceof Conflict) return 409;
  if (error instanceof RateLimited) return 429;
  return error instanceof IssuerUnavailable ? 503 : null;
}
