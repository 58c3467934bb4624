import type { IncomingMessage } from 'node:http';
import { parseJson } from '../core/json.ts';
import { HttpError } from './http-error.ts';
import { readMediaType } from './media-type.ts';

/**
 * Reads a request's body as JSON. Throws HttpError: 415 for another type, charset or encoding, 413 for a body over
 * `maxBytes`, and 400 for a body that is not JSON or that ends early.
 */
export async function readJson(request: IncomingMessage, maxBytes: number): Promise<unknown> {
  const { 'content-type': contentType, 'content-encoding': encoding } = request.headers;
  const { type, parameters } = readMediaType(contentType);
  if (type !== 'application/json' && type !== 'application/graphql+json') {
    throw new HttpError(415, 'Send a POST body as content-type: application/json.', {
      headers: { accept: 'application/json' },
    });
  }
  const charset = parameters.get('charset')?.toLowerCase() ?? 'utf-8';
  if (charset !== 'utf-8' && charset !== 'utf8') {
    throw new HttpError(415, 'Send JSON encoded as UTF-8.', {
      headers: { accept: 'application/json; charset=utf-8' },
    });
  }
  if (encoding !== undefined && encoding.trim().toLowerCase() !== 'identity') {
    throw new HttpError(415, 'Send the body without a content-encoding.', {
      headers: { 'accept-encoding': 'identity' },
    });
  }
  const json = parseJson(await readText(request, maxBytes));
  if (json === undefined) throw new HttpError(400, 'The POST body is not valid JSON.');
  return json;
}

/**
 * Reads a request's body as a form (application/x-www-form-urlencoded). Throws HttpError: 415 for another type, 413 for
 * a body over `maxBytes`, and 400 for a body that ends early.
 */
export async function readForm(request: IncomingMessage, maxBytes: number): Promise<URLSearchParams> {
  if (readMediaType(request.headers['content-type']).type !== 'application/x-www-form-urlencoded') {
    throw new HttpError(415, 'Send the body as content-type: application/x-www-form-urlencoded.');
  }
  return new URLSearchParams(await readText(request, maxBytes));
}

/**
 * Reads a request's body as UTF-8 text. Throws HttpError: 413 for a body over `maxBytes`, and 400 for a body that ends
 * early. The function uses events, because asynchronous iteration would leave its listeners on the request, where they
 * would take 1 KB for as long as a stream is open.
 */
export function readText(request: IncomingMessage, maxBytes: number): Promise<string> {
  const tooLarge = () => new HttpError(413, `The body is larger than ${maxBytes} bytes.`);
  if (Number(request.headers['content-length'] ?? 0) > maxBytes) return Promise.reject(tooLarge());
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const settle = (error: Error | null) => {
      request.off('data', take).off('end', finish).off('close', stop);
      if (error !== null) reject(error);
      else
        resolve((chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks)).toString('utf8'));
    };
    const take = (chunk: Buffer) => {
      size += chunk.length;
      if (size > maxBytes) settle(tooLarge());
      else chunks.push(chunk);
    };
    const finish = () => settle(null);
    const stop = () => settle(new HttpError(400, 'The body ends early.'));
    if (request.destroyed) stop();
    else request.on('data', take).on('end', finish).on('close', stop);
  });
}
