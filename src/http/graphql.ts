import type { IncomingMessage, ServerResponse } from 'node:http';
import { createContext, identifyAsker } from '../api/context.ts';
import { executeOperation } from '../api/execute.ts';
import { requestLimits } from '../api/request.ts';
import { readOperation, type GraphqlOptions } from './graphql-operation.ts';
import { readBoundary } from './multipart.ts';
import type { Handler } from './respond.ts';

/**
 * The short way for what nearly every request is: a POST of JSON with a valid query or mutation, answered as JSON. It is
 * read and written in plain Node, because Yoga's fetch layer costs more than the rest of a small operation together
 * (measured: bench/results/send.md). Whatever is not quite that, Yoga answers: there is one place for refusals.
 * `upload` takes GraphQL multipart requests.
 */
export function serveGraphql(options: GraphqlOptions & { upload: Handler }): Handler {
  return async (request, response) => {
    if (isGraphqlUpload(request)) return options.upload(request, response);
    const mediaType = chooseMediaType(request);
    if (mediaType === null) return options.yoga(request, response);
    const body = await readBody(request);
    // Too large: Yoga says so, from the length alone.
    const answered = body !== null && (await answer(options, { request, response, mediaType, body }));
    if (!answered) await answerByYoga(options, { request, response, body });
  };
}

/** A form of another site can't send one of these without asking first. */
const preflightHeaders = ['x-graphql-yoga-csrf', 'apollo-require-preflight', 'graphql-require-preflight'];

/** Whether it is a multipart request as a page of ours sends it; any other form is refused with all that is not JSON. */
function isGraphqlUpload({ method, headers }: IncomingMessage): boolean {
  const isForm = method === 'POST' && readBoundary(headers['content-type']) !== null;
  return isForm && preflightHeaders.some((name) => (headers[name] ?? '') !== '');
}

const jsonTypes = ['application/json', 'application/graphql-response+json'];

/** The media type that the client likes best, if this is a POST of JSON that is to be answered with JSON. */
function chooseMediaType({ method, headers }: IncomingMessage): string | null {
  if (method !== 'POST' || !/^application\/json *(;|$)/i.test(headers['content-type'] ?? '')) return null;
  if (headers['content-encoding'] !== undefined) return null;
  const [first = '*/*'] = (headers.accept ?? '*/*').toLowerCase().split(',');
  const range = first.trim();
  return range === '*/*' ? 'application/json' : (jsonTypes.find((type) => type === range) ?? null);
}

/** The body's text; null when it is over the limit. */
async function readBody(request: IncomingMessage): Promise<string | null> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > requestLimits.maxBodyBytes) return null;
    chunks.push(chunk);
  }
  return (chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks)).toString('utf8');
}

type Exchange = { request: IncomingMessage; response: ServerResponse; body: string };

/** Whether it could be answered here. Nothing has been executed when it could not. */
async function answer(
  { schema, documents, services, mask }: GraphqlOptions,
  { request, response, mediaType, body }: Exchange & { mediaType: string },
): Promise<boolean> {
  const asked = readOperation(documents, parseJson(body));
  if (asked === null || 'errors' in asked) return false;
  const { authorization, 'user-agent': userAgent } = request.headers;
  const context = createContext(services, {
    asker: await identifyAsker(services.accounts, authorization),
    userAgent: userAgent ?? null,
  });
  const { operation, variables } = asked;
  const result = await executeOperation({ schema, operation, variables, context, mask });
  // Variables that don't fit: graphql-js looked at them and executed nothing.
  if (result.data === undefined) return false;
  // As a string: Node then sends head and body in one write.
  const text = JSON.stringify(result);
  const length = Buffer.byteLength(text);
  response.writeHead(200, { 'content-type': `${mediaType}; charset=utf-8`, 'content-length': length }).end(text);
  return true;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** Gives Yoga what has been read already. */
async function answerByYoga(
  { yoga }: GraphqlOptions,
  { request, response, body }: { request: IncomingMessage; response: ServerResponse; body: string | null },
): Promise<void> {
  const headers = new Headers();
  for (const [name, value] of Object.entries(request.headers)) {
    if (value !== undefined) headers.set(name, Array.isArray(value) ? value.join(', ') : value);
  }
  // Past the limit the rest was not read: any text of that length is refused alike.
  const text = body ?? ' '.repeat(requestLimits.maxBodyBytes + 1);
  headers.set('content-length', String(Buffer.byteLength(text)));
  const answered = await yoga.fetch(`http://localhost${request.url ?? '/graphql'}`, {
    method: 'POST',
    headers,
    body: text,
  });
  if (body === null) response.setHeader('connection', 'close');
  response.writeHead(answered.status, Object.fromEntries(answered.headers)).end(await answered.text());
}
