import type { IncomingMessage, ServerResponse } from 'node:http';
import { identifyAsker } from '../../api/context.ts';
import { requestLimits } from '../../api/request.ts';
import { accepts } from '../accept.ts';
import { readJson } from '../body.ts';
import { executePrepared, isKnown, type GraphqlOptions } from '../graphql-operation.ts';
import { HttpError } from '../http-error.ts';
import type { Handler } from '../respond.ts';
import { answerOf, type Answer } from './answer.ts';
import { compileRoute } from './compiled-route.ts';
import { inClientTerms } from './client-term.ts';
import { readVariables } from './input.ts';
import { detailed, refuseWithProblem, sendProblem } from './problem.ts';
import { describeApi } from './reference.ts';
import { Router, type Route } from './route.ts';
import { routes } from './table.ts';

/**
 * Serves the REST API. For each request, it finds the route in the table, runs the document of the route with the same
 * executor as every other operation, and responds with the object or with a problem.
 */
export function serveRest(options: GraphqlOptions): Handler {
  const router = new Router(routes);
  const reference = describeApi(options.schema);
  // A problem has more details than a GraphQL error: it says which parameter is wrong, and whether to try again.
  const mask = (error: unknown) => detailed(options.mask(error), error);
  return async (request, response) => {
    try {
      const page = findPage(reference, request);
      if (page !== null) return await page(request, response);
      const { route, parameters, query } = findRoute(router, request, response);
      demandJsonAccepted(request);
      const answer = await run({ ...options, mask }, route, { request, response, parameters, query });
      if ('problem' in answer) await sendProblem(answer.problem, request, response);
      else sendAnswer(response, answer);
    } catch (error) {
      await refuseWithProblem(error, request, response);
    }
  };
}

/**
 * Returns the handler for the page of the reference that the request asks for, or null if the request asks for
 * something else. Throws HttpError 405.
 */
function findPage(reference: ReadonlyMap<string, Handler>, { url = '/', method }: IncomingMessage): Handler | null {
  const page = reference.get(splitOnce(url, '?')[0]);
  if (page === undefined || method === 'GET' || method === 'HEAD') return page ?? null;
  throw new HttpError(405, 'Use GET.', { headers: { allow: 'GET, HEAD' } });
}

/**
 * Returns the route of a request. Throws HttpError 404 if the path is unknown, and 405 if the path does not support
 * this method.
 */
function findRoute(router: Router, { url = '/', method = 'GET' }: IncomingMessage, response: ServerResponse) {
  const [path, search] = splitOnce(url, '?');
  const match = router.find(path);
  if (match === null) throw new HttpError(404, 'There is no such route: /api/openapi.json lists all routes.', notFound);
  const route = match.routes.get(method === 'HEAD' ? 'GET' : method);
  if (route !== undefined) return { route, parameters: match.parameters, query: new URLSearchParams(search) };
  const allowed = [...match.routes.keys()].flatMap((each) => (each === 'GET' ? ['GET', 'HEAD'] : [each])).join(', ');
  response.setHeader('allow', allowed);
  throw new HttpError(405, `Use ${allowed}.`);
}

const notFound = { code: 'NOT_FOUND' };

async function run(
  options: GraphqlOptions,
  route: Route,
  {
    request,
    response,
    ...sent
  }: {
    request: IncomingMessage;
    response: ServerResponse;
    parameters: ReadonlyMap<string, string>;
    query: URLSearchParams;
  },
): Promise<Answer> {
  const compiled = compileRoute(options.schema, route);
  const body = takesBody(route) ? await readBody(request) : undefined;
  const asker = await identifyAsker(options.services.accounts, request.headers);
  const variables = readVariables(compiled, { ...sent, body });
  const sender = { asker, from: request, response };
  const result = await executePrepared(options, { preparation: compiled.operation, variables }, sender);
  const answer = answerOf(route, result, isKnown(asker));
  return 'problem' in answer ? { problem: inClientTerms(answer.problem, compiled) } : answer;
}

function takesBody({ method }: Route): boolean {
  return method === 'POST' || method === 'PUT' || method === 'PATCH';
}

/** Returns the JSON value in the body, or undefined if the request has no body. */
async function readBody(request: IncomingMessage): Promise<unknown> {
  const { 'content-length': length, 'transfer-encoding': encoding } = request.headers;
  if (encoding === undefined && Number(length ?? 0) === 0) return undefined;
  return readJson(request, requestLimits.maxBodyBytes);
}

/** Throws HttpError 406 if the client does not accept JSON. */
function demandJsonAccepted({ headers }: IncomingMessage): void {
  if (accepts(headers.accept, ['application/json', 'application/*', '*/*'])) return;
  throw new HttpError(406, 'Answers are sent as application/json.');
}

function sendAnswer(response: ServerResponse, { status, body }: { status: number; body: unknown }): void {
  const headers = { 'cache-control': 'no-store' };
  if (body === undefined) {
    response.writeHead(status, headers).end();
    return;
  }
  const text = JSON.stringify(body);
  response
    .writeHead(status, {
      ...headers,
      'content-type': 'application/json; charset=utf-8',
      'content-length': Buffer.byteLength(text),
    })
    .end(text);
}

function splitOnce(text: string, separator: string): [string, string] {
  const index = text.indexOf(separator);
  return index === -1 ? [text, ''] : [text.slice(0, index), text.slice(index + 1)];
}
