import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { request, type IncomingMessage } from 'node:http';
import { join } from 'node:path';
import type { Data, Person } from './client.ts';
import type { TestServer } from './server.ts';

/** The fields of a file that most tests need. */
export const fileFields = 'id name contentType size url';

/** A file to send in a form. */
export type Sent = { name: string; content: string | Uint8Array<ArrayBuffer>; type?: string };

/** Sends files to `/api/upload`, as a page would, and returns the answer. */
export async function postFiles(
  server: TestServer,
  by: Person | null,
  files: Sent[],
): Promise<{ status: number; body: Data; headers: Headers }> {
  const form = new FormData();
  for (const { name, content, type } of files) form.append('files', new Blob([content], { type: type ?? '' }), name);
  const headers: HeadersInit = by === null ? {} : { authorization: `Bearer ${by.token}` };
  const response = await fetch(`${server.url}/api/upload`, { method: 'POST', body: form, headers });
  return { status: response.status, body: await response.json(), headers: response.headers };
}

/** Uploads a file that must be accepted. Returns it. */
export async function upload(
  server: TestServer,
  by: Person,
  content: Sent['content'],
  name = 'notes.txt',
): Promise<Data> {
  const { status, body } = await postFiles(server, by, [{ name, content }]);
  if (status !== 201) throw new Error(`The upload was refused: ${status} ${JSON.stringify(body)}`);
  return body.files[0];
}

/** Returns the response to `File.url`. */
export async function download(server: TestServer, url: string, init: RequestInit = {}): Promise<Response> {
  return fetch(new URL(url, server.url), init);
}

/** Returns the bytes that `File.url` serves. */
export async function readBytes(server: TestServer, url: string): Promise<Buffer> {
  return Buffer.from(await (await download(server, url)).arrayBuffer());
}

/** Returns whether a file has exactly these bytes. */
export async function holdsBytes(server: TestServer, url: string, content: Buffer): Promise<boolean> {
  return (await readBytes(server, url)).equals(content);
}

/** Returns a file as the user sees it, or null if it is hidden from them. */
export async function readFileNode(by: Person, id: string): Promise<Data> {
  const document = `query ($id: ID!) { node(id: $id) { ... on File { ${fileFields} } } }`;
  return (await by.ask(document, { id })).node;
}

/** An uploaded picture as a user receives it: its fields, the served bytes, and the small thumbnail. */
export type ServedPicture = { file: Data; served: Buffer; thumbnail: Buffer | null };

/** Uploads a picture that must be accepted, and downloads it as the server serves it. */
export async function servePicture(
  server: TestServer,
  by: Person,
  content: Buffer,
  name: string,
): Promise<ServedPicture> {
  const { id } = await upload(server, by, new Uint8Array(content), name);
  const document = `query ($id: ID!) { node(id: $id) { ... on File {
    contentType width height note url thumbnailUrl(size: SMALL) } } }`;
  const file = (await by.ask(document, { id })).node;
  const thumbnail = file.thumbnailUrl && (await readBytes(server, file.thumbnailUrl));
  return { file, served: await readBytes(server, file.url), thumbnail };
}

/** Settings that store even the smallest files in DATA_DIR or the bucket. */
export const nothingInline = { FILE_INLINE_BYTES: '0' };

/** Returns how many files a server stores, inline and on its disk, and how many uploads are in progress there. */
export async function countStored(server: TestServer): Promise<{ kept: number; incoming: number }> {
  const names = await readdir(join(server.dataDir, 'files'), { recursive: true });
  const { rowCount } = await server.sql.query('select from blobs where bytes is not null');
  return {
    kept: (rowCount ?? 0) + names.filter((name) => /^[0-9a-f]{2}\/[0-9a-f]{62}$/.test(name)).length,
    incoming: names.filter((name) => name.startsWith('incoming/')).length,
  };
}

/**
 * Sends an upload's body in pieces, as fast as the server reads it, without loading all of it into memory. `sent` is
 * the number of bytes that had been sent when the answer arrived.
 */
export async function postPieces(
  url: string,
  token: string,
  pieces: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  headers: Record<string, string> = {},
): Promise<{ status: number; body: Data; sent: number }> {
  const outgoing = request(`${url}/api/upload`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'multipart/form-data; boundary=b', ...headers },
  });
  // When the server refuses the upload, it may close the connection while the client is still sending.
  outgoing.setMaxListeners(0).on('error', () => {});
  let sent = 0;
  const sending = (async () => {
    for await (const piece of pieces) {
      if (outgoing.destroyed) return;
      if (!outgoing.write(piece)) await Promise.race([once(outgoing, 'drain'), once(outgoing, 'close')]);
      sent += piece.length;
    }
    outgoing.end();
  })();
  const [response] = (await once(outgoing, 'response')) as [IncomingMessage];
  const sentByThen = sent;
  const body = JSON.parse(Buffer.concat(await response.toArray()).toString());
  outgoing.destroy();
  await sending;
  return { status: response.statusCode ?? 0, body, sent: sentByThen };
}

const partHead = (name: string) =>
  Buffer.from(`--b\r\ncontent-disposition: form-data; name="f"; filename="${name}"\r\n\r\n`);
const formEnd = Buffer.from('\r\n--b--\r\n');

/** Yields a form with one file of `size` bytes, for `postPieces`. */
export function* largeForm(size: number, name = 'large.bin'): Generator<Uint8Array> {
  const chunk = Buffer.alloc(64 * 1024, 'x');
  yield partHead(name);
  for (let left = size; left > 0; left -= chunk.length) yield left < chunk.length ? chunk.subarray(0, left) : chunk;
  yield formEnd;
}

/** Returns the complete body of a form with one file. */
export function formOf(content: Uint8Array, name = 'file.bin'): Buffer<ArrayBuffer> {
  return Buffer.concat([partHead(name), content, formEnd]);
}

/** Runs `uploadFile` as a GraphQL multipart request. `changes` replaces parts of the request. */
export async function postGraphqlForm(
  server: TestServer,
  by: Pick<Person, 'token'> | null,
  changes: {
    operations?: unknown;
    map?: unknown;
    files?: [field: string, Sent][];
    headers?: Record<string, string>;
  } = {},
): Promise<{ status: number; body: Data }> {
  const query = `mutation ($file: Upload!) {
    uploadFile(file: $file) {
      __typename
      ... on File { ${fileFields} }
      ... on InvalidInput { message fields { path message } }
    }
  }`;
  const form = new FormData();
  const { operations = { query, variables: { file: null } }, map = { 0: ['variables.file'] } } = changes;
  if (operations !== null) form.append('operations', asText(operations));
  if (map !== null) form.append('map', asText(map));
  for (const [field, { name, content }] of changes.files ?? [['0', { name: 'notes.txt', content: 'hello' }]]) {
    form.append(field, new Blob([content]), name);
  }
  const response = await fetch(`${server.url}/graphql`, {
    method: 'POST',
    body: form,
    headers: {
      ...(by !== null && { authorization: `Bearer ${by.token}` }),
      ...(changes.headers ?? { 'graphql-require-preflight': '1' }),
    },
  });
  return { status: response.status, body: await response.json() };
}

function asText(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}
