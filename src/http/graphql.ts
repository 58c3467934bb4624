import type { IncomingMessage, ServerResponse } from 'node:http';
import { OperationTypeNode } from 'graphql';
import { identifyAsker } from '../api/context.ts';
import { requestLimits } from '../api/request.ts';
import type { Yoga } from '../api/yoga.ts';
import { chooseJson } from './accept.ts';
import { readJson } from './body.ts';
import { executePrepared, isKnown, sendResult, type GraphqlOptions } from './graphql-operation.ts';
import { HttpError } from './http-error.ts';
import { readMediaType } from './media-type.ts';
import { namesDocument, prepareParams, readParams, readQueryString } from './params.ts';
import { refuseWith } from './refusal.ts';
import type { Handler } from './respond.ts';

/**
 * Serves queries and mutations. Nearly every request is a POST of JSON. Such requests are read and answered in plain
 * Node, because for a small operation, Yoga's fetch layer costs more than everything else combined (measured:
 * bench/results/send.md). Yoga answers GETs that contain the text of a document, and rejects other methods. `upload`
 * handles GraphQL multipart requests.
 */
export function serveGraphql(options: GraphqlOptions & { yoga: Yoga; upload: Handler }): Handler {
  return async (request, response) => {
    try {
      if (isForm(request)) {
        demandPreflight(request);
        await options.upload(request, response);
      } else if (request.method === 'POST') await answerPost(options, request, response);
      else await answerByYoga(options, request, response);
    } catch (error) {
      if (!(error instanceof HttpError)) throw error;
      await refuseWith(error, request, response);
    }
  };
}

/**
 * Whether the request is a form. A form is always an upload and never opens a stream, whatever its Accept header says.
 */
export function isForm({ method, headers }: IncomingMessage): boolean {
  return method === 'POST' && readMediaType(headers['content-type']).type === 'multipart/form-data';
}

/** Headers that a page on another site cannot send without a preflight request. */
const preflightHeaders = ['x-graphql-yoga-csrf', 'apollo-require-preflight', 'graphql-require-preflight'];

/** Throws HttpError 415 for a form that a page on another site could have sent. */
function demandPreflight({ headers }: IncomingMessage): void {
  if (preflightHeaders.some((name) => (headers[name] ?? '') !== '')) return;
  throw new HttpError(
    415,
    'Send a POST body as content-type: application/json. A file upload by multipart/form-data needs the header graphql-require-preflight: 1.',
    { headers: { accept: 'application/json' } },
  );
}

async function answerPost(options: GraphqlOptions, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const mediaType = demandJsonAccepted(request);
  const params = readParams(await readJson(request, requestLimits.maxBodyBytes));
  const sender = await identifySender(options, request);
  const preparation = prepareParams(options.documents, params, sender);
  const { variables } = params;
  sendResult(response, await executePrepared(options, { preparation, variables }, { ...sender, response }), mediaType);
}

/**
 * Answers GET requests, and rejects other methods. Yoga accepts only the text of a document, so operations that name a
 * document by its id are executed here.
 */
async function answerByYoga(
  options: GraphqlOptions & { yoga: Yoga },
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const mediaType = demandJsonAccepted(request);
  const sender = await identifySender(options, request);
  // The Host header that the client sent is not used, because it may not be a valid host.
  const url = new URL(request.url ?? '/graphql', 'http://localhost');
  if (request.method === 'GET') {
    const params = readQueryString(url.searchParams);
    if (namesDocument(params) || options.documents.trusted?.isOnly) {
      const preparation = prepareParams(options.documents, params, sender);
      if ('operation' in preparation && preparation.operation.operation === OperationTypeNode.MUTATION) {
        throw new HttpError(405, 'Send mutations by POST.', { headers: { allow: 'POST' } });
      }
      const { variables } = params;
      sendResult(
        response,
        await executePrepared(options, { preparation, variables }, { ...sender, response }),
        mediaType,
      );
      return;
    }
  }
  const answer = await options.yoga.fetch(
    url.href,
    { method: request.method ?? 'GET', headers: { accept: mediaType } },
    { ...sender, response },
  );
  response.setHeader('cache-control', 'no-store');
  response.writeHead(answer.status, Object.fromEntries(answer.headers)).end(await answer.text());
}

/**
 * Returns the JSON media type that the client prefers. Throws HttpError 406 if the client accepts neither JSON media
 * type.
 */
function demandJsonAccepted({ headers }: IncomingMessage): string {
  const mediaType = chooseJson(headers.accept);
  if (mediaType !== null) return mediaType;
  throw new HttpError(406, 'Answers are sent as application/json or application/graphql-response+json.');
}

async function identifySender({ services }: GraphqlOptions, request: IncomingMessage) {
  const asker = await identifyAsker(services.accounts, request.headers);
  return { asker, isKnown: isKnown(asker), from: request };
}
