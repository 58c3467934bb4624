import { Server } from '@tus/server';
import { randomBytes } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Conflict, NotFound } from '../errors.ts';
import { identifyAsker, type Services } from '../api/context.ts';
import { demandAllowed } from '../api/scope.ts';
import { uploadAccess } from '../api/scope-table.ts';
import type { Asker } from '../core/asker.ts';
import { completeUpload } from './upload.ts';
import { refuse } from '../http/refusal.ts';
import { sendJson, type Handler } from '../http/respond.ts';
import { asProblem, problemOfStatus, problemType } from '../http/rest/problem.ts';
import { FileExists } from './partial-upload.ts';
import { TusStore, tusExtensions } from './tus-store.ts';
import { BadMultipart } from '../http/multipart.ts';
import { senderOf } from '../http/arriving.ts';
import { limitIdleness } from '../http/idleness.ts';
import { refusalFor } from '../http/upload-refusal.ts';

/** The path at which uploads are created. Each upload has a path below it, which ends in the id of the upload. */
const tusPath = '/api/upload/tus';
const tusVersion = '1.0.0';
/** The methods that a POST may specify instead of its own (X-HTTP-Method-Override). */
const overridable = new Set(['PATCH', 'DELETE', 'HEAD']);

/**
 * How long a client may keep sending after it is refused in the middle of a request, so that it can read the reason.
 */
const lingerMs = 2_000;
/** How long a request that holds the lease of an upload may take to release it when another request asks for it. */
const letGoMs = 1_000;

/**
 * Serves the tus protocol (https://tus.io/protocols/resumable-upload, 1.0.0): resumable uploads from clients with a
 * bearer token, each visible only to the user who created it. Once an upload is complete, a GET on it returns the file
 * in the same form as `POST /api/upload`: `{ files: [file] }`. A creation request that includes the whole file gets a
 * response with the same body. Refusals are problems (RFC 9457), because tus clients look only at the status and show
 * the body as it is.
 */
export function serveTus(services: Services): Handler {
  return async (request, response) => {
    overrideMethod(request);
    if (request.method === 'OPTIONS') {
      response.writeHead(204, describeProtocol(services)).end();
      return;
    }
    limitIdleness(request, services.uploadIdleMs);
    try {
      requireProtocol(request);
      const asker = demandAllowed(await identifyAsker(services.accounts, request.headers), uploadAccess);
      const exchange = { asker, request, response };
      if (request.method === 'GET') await sendFile(services, exchange);
      else
        await services.arrivals.during(senderOf(services, asker, request), () =>
          createServer(services, exchange).handle(request, response),
        );
      cutOff(request);
    } catch (error) {
      const refusal = explain(error, request);
      if (refusal === null) throw error;
      if (refusal.status === 401) response.setHeader('www-authenticate', 'Bearer');
      if (refusal.status === 412) response.setHeader('tus-version', tusVersion);
      await refuse(request, response, { ...refusal, ...asProblem(refusal.status, refusal.message) });
    }
  };
}

/**
 * Applies the method override that the client specifies, because some clients and networks support only GET and POST. A
 * GET is never treated as another method, because a GET must not change anything.
 */
function overrideMethod(request: IncomingMessage): void {
  const asked = request.headers['x-http-method-override'];
  if (request.method !== 'POST' || typeof asked !== 'string') return;
  const method = asked.trim().toUpperCase();
  if (overridable.has(method)) request.method = method;
}

/**
 * Describes the protocol. The description requires no authentication, because clients ask for it before they have a
 * token.
 */
function describeProtocol({ files }: Services): Record<string, string> {
  return {
    'tus-resumable': tusVersion,
    'tus-version': tusVersion,
    'tus-extension': tusExtensions.join(','),
    'tus-max-size': String(files.maxUploadBytes),
  };
}

function requireProtocol({ method, headers }: IncomingMessage): void {
  if (method !== 'GET' && headers['tus-resumable'] !== tusVersion) {
    throw new WrongProtocol(`Send Tus-Resumable: ${tusVersion}, the only supported version of the protocol.`);
  }
  if (headers['upload-concat'] !== undefined) {
    throw new BadMultipart('Uploads in parallel parts (Upload-Concat) are not supported: send the file as one upload.');
  }
}

/** The request uses another version of the protocol, or does not name a version. */
class WrongProtocol extends Error {}

const unfinished = 'This upload is not complete yet.';

type Exchange = { asker: Asker; request: IncomingMessage; response: ServerResponse };

async function sendFile(services: Services, { asker, request, response }: Exchange): Promise<void> {
  const id = readId(request.url?.split('?', 1)[0]?.split('/').at(-1));
  if (id === undefined) throw new NotFound('There is no such upload.');
  const file = await completeUpload(services, asker, id);
  response.setHeader('cache-control', 'no-store');
  if (file === null) await refuse(request, response, asProblem(409, unfinished));
  else sendJson(response, 200, { files: [file] });
}

/** Creates a separate server for each request, so that it knows the user. */
function createServer(services: Services, { asker, request, response }: Exchange): Server {
  const { partials, partialLeases, files, limits } = services;
  const origin = response.getHeader('access-control-allow-origin');
  return new ProblemServer({
    path: tusPath,
    relativeLocation: true,
    datastore: new TusStore(partials, asker, { declaresLength: declaresLength(request) }),
    locker: partialLeases,
    lockDrainTimeout: letGoMs,
    // `applyCors` has already decided this.
    ...(origin !== '*' && { allowedOrigins: (asking) => asking === origin }),
    exposedHeaders: ['Upload-Expires'],
    // Only OPTIONS reports this limit; `PartialUploads` enforces the limit of each upload.
    maxSize: (_, id) => (id === null ? files.maxUploadBytes : 0),
    namingFunction: () => randomBytes(16).toString('base64url'),
    getFileIdFromRequest: (_, last) => readId(last),
    // This runs before the request that holds the upload is asked to release it.
    onIncomingRequest: async (_, id) => {
      if (request.method !== 'POST') await partials.find(asker, id);
    },
    onUploadCreate: async (_, { id, size, metadata }) => {
      const name = metadata?.['filename'] ?? metadata?.['name'] ?? 'file';
      const said = request.headers['upload-metadata'];
      await limits.count('uploads', { asker, address: services.addressOf(request) });
      await partials.begin(asker, { id, name, metadata: typeof said === 'string' ? said : null, size: size ?? null });
      return {};
    },
    onUploadFinish: async (_, { id }) => {
      const file = await completeUpload(services, asker, id);
      // The protocol requires a response to a PATCH to be a 204, which has no body, so the client gets the file with a
      // GET.
      if (file === null || request.method !== 'POST') return {};
      return {
        status_code: 201,
        headers: { 'content-type': 'application/json; charset=utf-8' },
        body: JSON.stringify({ files: [file] }),
      };
    },
    onResponseError: (_, error) => {
      // The error comes from the tus protocol itself.
      if ('status_code' in error) return undefined;
      const refusal = explain(error, request);
      if (refusal === null) throw error;
      return { status_code: refusal.status, body: refusal.message };
    },
  });
}

/**
 * Whether the request declares the size of the upload. If an upload was created without a size, any number of PATCH
 * requests may declare it.
 */
function declaresLength({ method, headers }: IncomingMessage): boolean {
  return method === 'PATCH' && headers['upload-length'] !== undefined;
}

/** Sends errors in the same format as all other refusals. */
class ProblemServer extends Server {
  override async write(...[context, headers, status, body = '']: Parameters<Server['write']>) {
    headers.set('content-type', `${problemType}; charset=utf-8`);
    return super.write(context, headers, status, JSON.stringify(problemOfStatus(status, body.trim())));
  }
}

/**
 * Returns the same refusal as for any other upload, except for the statuses to which tus clients react: they retry
 * after 423, and start over after 404.
 */
function explain(error: unknown, request: IncomingMessage): { status: number; message: string } | null {
  if (error instanceof NotFound) return { status: 404, message: error.message };
  if (error instanceof Conflict) return { status: 423, message: error.message };
  if (error instanceof FileExists) return { status: 409, message: error.message };
  if (error instanceof WrongProtocol) return { status: 412, message: error.message };
  return refusalFor(error, request);
}

function readId(last: string | undefined): string | undefined {
  return last !== undefined && /^[A-Za-z0-9_-]{22}$/.test(last) ? last : undefined;
}

/**
 * Cuts off the request after its response has been sent, because the server does not read the rest of a refused body.
 */
function cutOff(request: IncomingMessage): void {
  if (request.complete || request.destroyed) return;
  setTimeout(() => {
    if (!request.complete) request.destroy();
  }, lingerMs).unref();
}
