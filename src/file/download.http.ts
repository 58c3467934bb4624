import type { IncomingMessage, ServerResponse } from 'node:http';
import { releaseBytes } from '../core/bytes.ts';
import type { Services } from '../api/context.ts';
import { FileLookup, followLink, linkFile, openFile, type FoundFile } from './file-download.ts';
import { StoreUnavailable } from '../errors.ts';
import { describeDisposition, describeUnguarded } from './content-disposition.ts';
import { readRange } from './range.ts';
import { refuse } from '../http/refusal.ts';
import type { Handler } from '../http/respond.ts';
import { asProblem } from '../http/rest/problem.ts';
import { HungUp, sendChunk } from '../http/send-chunk.ts';

const refusals = {
  bad: { status: 403, error: 'This link is not valid: fetch `File.url` again.' },
  expired: { status: 403, error: 'This link has expired: fetch `File.url` again.' },
  gone: { status: 404, error: 'There is no such file.' },
};

/**
 * Serves `GET /files/:id/:name?expires&viewer&session&size&signature`: for a valid link, the bytes of a file or, with
 * `size`, of a thumbnail.
 */
export function serveDownload(services: Services): Handler {
  const lookup = new FileLookup(services.db);
  return async (request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://localhost');
    // A client that already has the bytes usually gets a 304, so the bytes are not read yet.
    const withBytes = request.method === 'GET' && request.headers['if-none-match'] === undefined;
    const id = pathname.split('/')[2] ?? '';
    const followed = await followLink({ ...services, lookup }, { id, query: searchParams, withBytes });
    if ('refusal' in followed) {
      const { status, error } = refusals[followed.refusal];
      response.setHeader('cache-control', 'no-store');
      await refuse(request, response, asProblem(status, error));
      return;
    }
    try {
      await sendFile(services, followed.file, { request, response });
    } catch (error) {
      if (!(error instanceof StoreUnavailable) || response.headersSent) throw error;
      await tryLater(request, response, error);
    }
  };
}

/** This response is not about the file, so the file's headers are removed. */
async function tryLater(
  request: IncomingMessage,
  response: ServerResponse,
  { message }: StoreUnavailable,
): Promise<void> {
  for (const name of ['etag', 'accept-ranges', 'content-disposition']) response.removeHeader(name);
  response.setHeader('cache-control', 'no-store');
  response.setHeader('retry-after', '10');
  await refuse(request, response, asProblem(503, message));
}

async function sendFile(
  services: Services,
  file: FoundFile,
  { request, response }: { request: IncomingMessage; response: ServerResponse },
): Promise<void> {
  const etag = `"${file.hash}"`;
  describe(response, file, etag);
  if (matches(request.headers['if-none-match'], etag)) {
    response.writeHead(304).end();
    return;
  }
  if (request.method === 'GET') {
    const location = await linkFile(services, file, describeUnguarded(file.contentType, file.name));
    if (location !== null) {
      redirect(response, location);
      return;
    }
  }
  const range = wantsRange(request, etag) ? readRange(request.headers.range, file.size) : null;
  if (range === 'unsatisfiable') {
    response.writeHead(416, { 'content-range': `bytes */${file.size}` }).end();
    return;
  }
  const { start, end } = range ?? { start: 0, end: file.size - 1 };
  const bytes = request.method === 'HEAD' ? null : await openFile(services, file, { start, end });
  response.writeHead(range === null ? 200 : 206, {
    'content-type': file.contentType === 'text/plain' ? 'text/plain; charset=utf-8' : file.contentType,
    'content-length': end - start + 1,
    ...(range !== null && { 'content-range': `bytes ${start}-${end}/${file.size}` }),
  });
  if (bytes === null || Buffer.isBuffer(bytes)) response.end(bytes);
  else await send(bytes, response).catch(passOver);
}

/** Sends each chunk while the next one is being read. */
async function send(bytes: NodeJS.ReadableStream, response: ServerResponse): Promise<void> {
  for await (const chunk of bytes) {
    await sendChunk(response, chunk);
    if (typeof chunk !== 'string') releaseBytes(chunk);
  }
  response.end();
}

/**
 * Redirects to the store. The redirect is not cached, so the next request checks again that the user may see the file.
 */
function redirect(response: ServerResponse, location: string): void {
  for (const name of ['etag', 'accept-ranges', 'content-disposition']) response.removeHeader(name);
  response.writeHead(302, { location, 'cache-control': 'no-store' }).end();
}

/**
 * Sets the headers that every response with the file has. If the file is a web page, the sandbox keeps it from running
 * in the server's origin.
 */
function describe(response: ServerResponse, file: FoundFile, etag: string): void {
  response.setHeader('etag', etag);
  response.setHeader('accept-ranges', 'bytes');
  // The browser has to revalidate each time, because the session or the user's access may end before the link expires.
  response.setHeader('cache-control', 'private, no-cache');
  response.setHeader('content-disposition', describeDisposition(file.contentType, file.name));
  response.setHeader('content-security-policy', "default-src 'none'; sandbox");
  response.setHeader('referrer-policy', 'no-referrer');
  response.setHeader('cross-origin-resource-policy', 'cross-origin');
  response.setHeader('access-control-expose-headers', 'content-disposition, content-range, accept-ranges, etag');
}

function matches(header: string | undefined, etag: string): boolean {
  return (header ?? '').split(',').some((each) => each.trim() === '*' || each.trim().replace(/^W\//, '') === etag);
}

/**
 * Whether to honour the Range header. If there is an If-Range header, the Range header is honoured only if the client
 * already has a part of this exact file.
 */
function wantsRange({ headers }: IncomingMessage, etag: string): boolean {
  const condition = headers['if-range'];
  return headers.range !== undefined && (condition === undefined || condition === etag);
}

function passOver(error: unknown): void {
  if (!(error instanceof HungUp)) throw error;
}
