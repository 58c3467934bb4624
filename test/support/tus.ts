import { readdir, readFile } from 'node:fs/promises';
import { request, type ClientRequest } from 'node:http';
import { join } from 'node:path';
import { Upload, type UploadOptions } from 'tus-js-client';
import type { Data, Person } from './client.ts';
import type { TestServer } from './server.ts';

type By = { token: string } | null;
/** The answer to one request of the tus protocol. */
export type TusAnswer = { status: number; headers: Headers; body: Data };

/** Sends one request of the tus protocol. The body of the answer is null if there is none. */
export async function tus(
  method: string,
  url: string,
  by: By,
  { headers = {}, body }: { headers?: Record<string, string>; body?: BodyInit } = {},
): Promise<TusAnswer> {
  const response = await fetch(url, {
    method,
    headers: { 'tus-resumable': '1.0.0', ...(by !== null && { authorization: `Bearer ${by.token}` }), ...headers },
    ...(body !== undefined && { body, duplex: 'half' }),
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: text === '' ? null : JSON.parse(text) };
}

/** Returns the value of Upload-Metadata, in the format that clients write. */
export function metadataOf(values: Record<string, string>): string {
  return Object.entries(values)
    .map(([name, value]) => `${name} ${Buffer.from(value).toString('base64')}`)
    .join(',');
}

/**
 * Creates an upload of that size, or of a deferred size if `size` is null. Returns the response, even if its status is
 * an error.
 */
export function begin(
  server: { url: string },
  by: By,
  size: number | null,
  headers: Record<string, string> = {},
): Promise<TusAnswer> {
  const length = size === null ? { 'upload-defer-length': '1' } : { 'upload-length': String(size) };
  return tus('POST', `${server.url}/api/upload/tus`, by, { headers: { ...length, ...headers } });
}

/** Creates an upload that must be accepted. Returns its address. */
export async function begun(
  server: { url: string },
  by: By,
  size: number | null,
  headers: Record<string, string> = {},
): Promise<string> {
  const { status, headers: answered, body } = await begin(server, by, size, headers);
  const location = answered.get('location');
  if (status !== 201 || location === null) throw new Error(`The upload was refused: ${status} ${JSON.stringify(body)}`);
  return new URL(location, server.url).href;
}

/** Sends a piece. Returns the response, even if its status is an error. */
export function patch(
  url: string,
  by: By,
  offset: number,
  body: BodyInit,
  headers: Record<string, string> = {},
): Promise<TusAnswer> {
  const about = { 'upload-offset': String(offset), 'content-type': 'application/offset+octet-stream' };
  return tus('PATCH', url, by, { headers: { ...about, ...headers }, body });
}

/** Sends the first `sent` bytes of a piece, and then nothing more. The caller must end or destroy the request. */
export function stallPiece(url: string, by: Person, content: Buffer, sent: number): ClientRequest {
  const outgoing = request(url, {
    method: 'PATCH',
    headers: {
      authorization: `Bearer ${by.token}`,
      'tus-resumable': '1.0.0',
      'upload-offset': '0',
      'content-type': 'application/offset+octet-stream',
      'content-length': content.length,
    },
  });
  outgoing.on('error', () => {});
  outgoing.write(content.subarray(0, sent));
  return outgoing;
}

/** Returns the offset of an upload, or null if the user does not have that upload. */
export async function offsetOf(url: string, by: By): Promise<number | null> {
  const { status, headers } = await tus('HEAD', url, by);
  return status === 200 ? Number(headers.get('upload-offset')) : null;
}

/**
 * Uploads with the stock client, in pieces of 64 KiB. Resolves with the address of the upload and with what GET then
 * returns there.
 */
export function uploadWithTus(
  server: { url: string },
  by: Person,
  content: Buffer,
  options: Partial<UploadOptions> = {},
): Promise<{ url: string; answer: Data }> {
  return new Promise((resolve, reject) => {
    const upload = new Upload(content, {
      endpoint: `${server.url}/api/upload/tus`,
      headers: { authorization: `Bearer ${by.token}` },
      chunkSize: 64 * 1024,
      retryDelays: [],
      metadata: { filename: 'large.bin' },
      onError: reject,
      onSuccess: () => {
        const url = upload.url ?? '';
        tus('GET', url, by).then(({ body }) => resolve({ url, answer: body }), reject);
      },
      ...options,
    });
    upload.start();
  });
}

/** Returns how many incomplete uploads a server has, in its tables and on its disk. */
export async function countPartial(server: TestServer): Promise<{ rows: number; stored: number }> {
  const { rows } = await server.sql.query('select count(*)::int as count from partial_uploads where file_id is null');
  return { rows: rows[0].count, stored: (await readdir(join(server.dataDir, 'partial-uploads'))).length };
}

/** Returns the id that an upload's address contains. */
export const uploadIdOf = (url: string): string => url.split('/').at(-1) ?? '';

/**
 * Returns how many bytes of an upload are on the disk. HEAD returns the same number, but also makes a node release the
 * upload.
 */
export async function storedOf(server: TestServer, url: string): Promise<number> {
  const path = join(server.dataDir, 'partial-uploads', uploadIdOf(url));
  return (await readFile(path).catch(() => Buffer.alloc(0))).length;
}
