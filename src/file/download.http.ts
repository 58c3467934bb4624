import type { IncomingMessage, ServerResponse } from 'node:http';
import { releaseBytes } from '../core/bytes.ts';
import type { Services } from '../api/context.ts';
import { FileLookup, followLink, linkFile, openFile, type FoundFile } from './file-download.ts';
import { StoreUnavailable } from '../errors.ts';
import { describeDisposition, describeUnguarded } from './content-disposition.ts';
import { readRange } from './range.ts';
import { sendJson, type Handler } from '../http/respond.ts';

const refusals = {
  bad: { status: 403, error: 'This link is not valid: fetch `File.url` again.' },
  expired: { status: 403, error: 'This link has expired: fetch `File.url` again.' },
  gone: { status: 404, error: 'There is no such file.' },
};

/** `GET /files/:id/:name?expires&viewer&signature`: the bytes of a file, to whoever brings a link that is good. */
export function serveDownload(services: Services): Handler {
  const lookup = new FileLookup(services.db);
  return async (request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://localhost');
    // Who has them already most often gets to hear just that.
    const withBytes = request.method === 'GET' && request.headers['if-none-match'] === undefined;
    const id = pathname.split('/')[2] ?? '';
    const followed = await followLink({ ...services, lookup }, { id, query: searchParams, withBytes });
    if ('refusal' in followed) {
      const { status, error } = refusals[followed.refusal];
      response.setHeader('cache-control', 'no-store');
      sendJson(response, status, { error });
      return;
    }
    try {
      await sendFile(services, followed.file, { request, response });
    } catch (error) {
      if (!(error instanceof StoreUnavailable) || response.headersSent) throw error;
      tryLater(response, error);
    }
  };
}

/** The answer is none about the file, so nothing that was said of it stands. */
function tryLater(response: ServerResponse, { message }: StoreUnavailable): void {
  for (const name of ['etag', 'accept-ranges', 'content-disposition']) response.removeHeader(name);
  response.setHeader('cache-control', 'no-store');
  response.setHeader('retry-after', '10');
  sendJson(response, 503, { error: message });
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

/** One chunk is on its way while the next is read. */
async function send(bytes: NodeJS.ReadableStream, response: ServerResponse): Promise<void> {
  for await (const chunk of bytes) {
    await write(response, chunk);
    if (typeof chunk !== 'string') releaseBytes(chunk);
  }
  response.end();
}

/** Resolves when the operating system has the chunk; rejects when there is no longer anybody to take it. */
function write(response: ServerResponse, chunk: Buffer | string): Promise<void> {
  return new Promise((resolve, reject) => {
    const hangUp = () => reject(new HungUp());
    if (response.destroyed) return hangUp();
    response.once('close', hangUp);
    response.write(chunk, (error) => {
      response.off('close', hangUp);
      if (error == null) resolve();
      else hangUp();
    });
  });
}

/** To the store itself. The next request asks here again, for by then the right may have ended. */
function redirect(response: ServerResponse, location: string): void {
  for (const name of ['etag', 'accept-ranges', 'content-disposition']) response.removeHeader(name);
  response.writeHead(302, { location, 'cache-control': 'no-store' }).end();
}

/** What holds for every answer about the file. A page that shows it can do nothing in our name: it is in a sandbox. */
function describe(response: ServerResponse, file: FoundFile, etag: string): void {
  response.setHeader('etag', etag);
  response.setHeader('accept-ranges', 'bytes');
  // Asked again each time, for the right to see it may end before the link does.
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

/** A range of what the client has a part of already is only good while it is the same. */
function wantsRange({ headers }: IncomingMessage, etag: string): boolean {
  const condition = headers['if-range'];
  return headers.range !== undefined && (condition === undefined || condition === etag);
}

/** A reader who goes away in the middle is no fault. */
class HungUp extends Error {}

function passOver(error: unknown): void {
  if (!(error instanceof HungUp)) throw error;
}
