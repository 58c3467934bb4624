import { Server } from '@tus/server';
import { randomBytes } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Conflict, NotFound } from '../errors.ts';
import { demandAsker, identifyAsker, type Services } from '../api/context.ts';
import type { Asker } from '../core/asker.ts';
import { completeUpload } from './upload.ts';
import { refuse } from '../http/refusal.ts';
import { sendJson, type Handler } from '../http/respond.ts';
import { FileExists } from './partial-upload.ts';
import { TusStore, tusExtensions } from './tus-store.ts';
import { BadMultipart } from '../http/multipart.ts';
import { senderOf } from '../http/arriving.ts';
import { limitIdleness } from '../http/idleness.ts';
import { refusalFor } from '../http/upload-refusal.ts';

/** Where uploads are begun; each is below it, under its id. */
const tusPath = '/api/upload/tus';
const tusVersion = '1.0.0';
/** What a POST may stand for (X-HTTP-Method-Override). */
const overridable = new Set(['PATCH', 'DELETE', 'HEAD']);

/** So long a client that is refused in the middle may go on sending, to come to read why. */
const lingerMs = 2_000;
/** So long a request that holds an upload may take to let go, when another one asks it to. */
const letGoMs = 1_000;

/**
 * The tus protocol (https://tus.io/protocols/resumable-upload, 1.0.0): uploads that resume where they broke off, from a
 * client that brings a bearer token, each visible only to the person who began it. Once an upload is complete, GET on it
 * returns its file as `POST /api/upload` does: `{ files: [file] }`; a creation that brings the whole file has that in its
 * answer. Refusals are `{ error }` with the status that says why.
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
      const asker = demandAsker(await identifyAsker(services.accounts, request.headers.authorization));
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
      await refuse(request, response, { ...refusal, body: { error: refusal.message } });
    }
  };
}

/** Some clients and networks know only GET and POST. A GET stays a GET: it must not change anything. */
function overrideMethod(request: IncomingMessage): void {
  const asked = request.headers['x-http-method-override'];
  if (request.method !== 'POST' || typeof asked !== 'string') return;
  const method = asked.trim().toUpperCase();
  if (overridable.has(method)) request.method = method;
}

/** For anyone, since clients ask before they have a token. */
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
    throw new WrongProtocol(`Send Tus-Resumable: ${tusVersion}, the version of the protocol that is spoken here.`);
  }
  if (headers['upload-concat'] !== undefined) {
    throw new BadMultipart('Uploads in parallel parts (Upload-Concat) are not supported: send the file as one upload.');
  }
}

/** Another version of the protocol, or none. */
class WrongProtocol extends Error {}

type Exchange = { asker: Asker; request: IncomingMessage; response: ServerResponse };

async function sendFile(services: Services, { asker, request, response }: Exchange): Promise<void> {
  const id = readId(request.url?.split('?', 1)[0]?.split('/').at(-1));
  if (id === undefined) throw new NotFound('There is no such upload.');
  const file = await completeUpload(services, asker, id);
  response.setHeader('cache-control', 'no-store');
  if (file === null) sendJson(response, 409, { error: 'This upload is not complete yet.' });
  else sendJson(response, 200, { files: [file] });
}

/** A server for one request, which so knows whose it is. */
function createServer(services: Services, { asker, request, response }: Exchange): Server {
  const { partials, partialLeases, files, limits } = services;
  const origin = response.getHeader('access-control-allow-origin');
  return new JsonServer({
    path: tusPath,
    relativeLocation: true,
    datastore: new TusStore(partials, asker, { declaresLength: declaresLength(request) }),
    locker: partialLeases,
    lockDrainTimeout: letGoMs,
    // `applyCors` has decided.
    ...(origin !== '*' && { allowedOrigins: (asking) => asking === origin }),
    exposedHeaders: ['Upload-Expires'],
    // For OPTIONS to tell; what holds for each upload is for `PartialUploads` to say.
    maxSize: (_, id) => (id === null ? files.maxUploadBytes : 0),
    namingFunction: () => randomBytes(16).toString('base64url'),
    getFileIdFromRequest: (_, last) => readId(last),
    // Before another request is asked to release it.
    onIncomingRequest: async (_, id) => {
      if (request.method !== 'POST') await partials.find(asker, id);
    },
    onUploadCreate: async (_, { id, size, metadata }) => {
      const name = metadata?.['filename'] ?? metadata?.['name'] ?? 'file';
      const said = request.headers['upload-metadata'];
      await limits.take('uploads', { userId: asker.userId });
      await partials.begin(asker, { id, name, metadata: typeof said === 'string' ? said : null, size: size ?? null });
      return {};
    },
    onUploadFinish: async (_, { id }) => {
      const file = await completeUpload(services, asker, id);
      // The protocol wants a PATCH answered by 204, which has no body: the file is at GET.
      if (file === null || request.method !== 'POST') return {};
      return {
        status_code: 201,
        headers: { 'content-type': 'application/json; charset=utf-8' },
        body: JSON.stringify({ files: [file] }),
      };
    },
    onResponseError: (_, error) => {
      // What the protocol itself refuses.
      if ('status_code' in error) return undefined;
      const refusal = explain(error, request);
      if (refusal === null) throw error;
      return { status_code: refusal.status, body: refusal.message };
    },
  });
}

/** A PATCH may say how large an upload is whose size was left open, as often as it likes. */
function declaresLength({ method, headers }: IncomingMessage): boolean {
  return method === 'PATCH' && headers['upload-length'] !== undefined;
}

/** Tells its refusals as all others are told. */
class JsonServer extends Server {
  override async write(...[context, headers, status, body = '']: Parameters<Server['write']>) {
    headers.set('content-type', 'application/json; charset=utf-8');
    return super.write(context, headers, status, JSON.stringify({ error: body.trim() }));
  }
}

/** As for any upload; but that clients of the protocol try again after 423, and begin anew after 404. */
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

/** The response has been sent; no one reads the rest of a refused body. */
function cutOff(request: IncomingMessage): void {
  if (request.complete || request.destroyed) return;
  setTimeout(() => {
    if (!request.complete) request.destroy();
  }, lingerMs).unref();
}
