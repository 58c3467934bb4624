import type { IncomingMessage } from 'node:http';
import { identifyAsker, type Services } from '../api/context.ts';
import type { Caller, Program } from '../core/asker.ts';
import type { Scope } from '../core/scope.ts';
import { Forbidden, Unauthenticated } from '../errors.ts';
import { limitIdleness } from '../http/idleness.ts';
import { readMediaType } from '../http/media-type.ts';
import { refuse } from '../http/refusal.ts';
import { sendJson, type Handler } from '../http/respond.ts';
import { refusalFor } from '../http/upload-refusal.ts';
import { importLines } from './import.ts';
import { ImportTurns } from './import-turn.ts';

/** JSON lines have no registered media type, so these are the types in use. */
const types = ['application/x-ndjson', 'application/ndjson', 'application/jsonl', 'application/x-jsonlines'];

/** The scopes that an API key needs for an import; ADMIN alone is also sufficient. */
const scopes: readonly Scope[] = ['USERS_WRITE', 'CHATS_WRITE', 'MESSAGES_WRITE'];

/**
 * Serves `POST /api/import`, which imports JSON lines (docs/import.md) for a program with an API key. Answers 200 with
 * the report once all lines have been read, even if some lines were refused; otherwise answers with an error status and
 * `{ error }`.
 */
export function serveImport(services: Services): Handler {
  const turns = new ImportTurns();
  return async (request, response) => {
    response.setHeader('cache-control', 'no-store');
    if (request.method !== 'POST') {
      response.setHeader('allow', 'POST');
      await refuse(request, response, { status: 405, body: { error: 'Send lines by POST.' } });
      return;
    }
    limitIdleness(request, services.uploadIdleMs);
    try {
      const identify = async () => requireImporter((await identifyAsker(services.accounts, request.headers))());
      const program = await identify();
      const problem = findProblem(request);
      if (problem !== null) {
        await refuse(request, response, {
          status: 415,
          headers: { accept: types.join(', ') },
          body: { error: problem },
        });
        return;
      }
      await services.limits.count('changes', { asker: program, address: services.addressOf(request) });
      sendJson(response, 200, await turns.during(() => importLines(services.db, identify, bodyOf(request))));
    } catch (error) {
      const refusal = refusalFor(error, request);
      if (refusal === null) throw error;
      if (refusal.status === 401) response.setHeader('www-authenticate', 'Bearer');
      await refuse(request, response, { ...refusal, body: { error: refusal.message } });
    }
  };
}

/** Returns the body as an iterable; the request stays open after an error, so that the response can still be sent. */
function bodyOf(request: IncomingMessage): AsyncIterable<Buffer> {
  return request.iterator({ destroyOnReturn: false });
}

function requireImporter(caller: Caller | null): Program {
  if (caller === null) throw new Unauthenticated('An API key is required: send `Authorization: Bearer parley_…`.');
  if (caller.kind !== 'KEY') throw new Forbidden('Only a program with an API key can import.');
  if (caller.userId !== null && caller.isActing) {
    throw new Forbidden('An import writes on behalf of many users: send it without parley-act-as.');
  }
  const missing = scopes.filter((scope) => !caller.scopes.has(scope));
  if (missing.length > 0 && !caller.scopes.has('ADMIN')) {
    throw new Forbidden(`This API key lacks ${missing.join(', ')}: an import needs these scopes, or ADMIN.`);
  }
  return caller;
}

/** Returns the reason why the body cannot be read; null if it can be read. */
function findProblem({ headers }: IncomingMessage): string | null {
  const { 'content-type': contentType, 'content-encoding': encoding = 'identity' } = headers;
  const { type, parameters } = readMediaType(contentType);
  if (!types.includes(type)) return `Send JSON lines as content-type: ${types[0]}.`;
  if (!/^utf-?8$/i.test(parameters.get('charset') ?? 'utf-8')) return 'Send JSON lines encoded as UTF-8.';
  return encoding.trim().toLowerCase() === 'identity' ? null : 'Send the body without a content-encoding.';
}
