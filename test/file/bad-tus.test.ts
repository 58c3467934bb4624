import { request } from 'node:http';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { connectDatabase, disconnectDatabase, type Db } from '../../src/postgres/client.ts';
import { FileCommit } from '../../src/file/file-commit.ts';
import { Pictures } from '../../src/file/picture.ts';
import { PartialUploads } from '../../src/file/partial-upload.ts';
import { LocalStore } from '../../src/file/store/local.ts';
import { PartialFiles } from '../../src/file/store/partial.ts';
import { signUp, type Person } from '../support/client.ts';
import { countStored, postFiles, upload } from '../support/file.ts';
import { racing, startServer, type TestServer } from '../support/server.ts';
import { begin, begun, countPartial, metadataOf, offsetOf, patch, tus, uploadWithTus } from '../support/tus.ts';
import { atFileEnd } from '../support/file-end.ts';

let server: TestServer;
let ada: Person;
let grace: Person;
let db: Db;
beforeAll(async () => {
  server = await startServer({ env: { MAX_UPLOAD_BYTES: '1000000', USER_QUOTA_BYTES: '100000000', ...racing } });
  [ada, grace] = await Promise.all([signUp(server, 'ada'), signUp(server, 'grace')]);
  db = connectDatabase({ url: server.database.url, maxConnections: 2, statementTimeoutMs: 10_000, onError: () => {} });
});
atFileEnd(() => disconnectDatabase(db));

const idOf = (url: string) => url.split('/').at(-1) ?? '';
const nothing = { rows: 0, stored: 0 };

/** Sweeps uploads as housekeeping does. */
async function sweep(of: TestServer = server): Promise<number> {
  const store = new LocalStore(join(of.dataDir, 'files'));
  const commit = new FileCommit(db, 1);
  const files = { db, store, link: null, maxUploadBytes: 1, userQuotaBytes: 1, pictures: new Pictures(), commit };
  return new PartialUploads(files, new PartialFiles(join(of.dataDir, 'partial-uploads'))).sweep(100);
}

/** Cancels an upload, and expects that everything stored for it is deleted. */
async function expectEnd(url: string, by: Person = ada): Promise<void> {
  expect((await tus('DELETE', url, by)).status).toBe(204);
  expect(await countPartial(server)).toEqual(nothing);
}

test('a user cannot find or change an upload of another user', async () => {
  const url = await begun(server, ada, 10);
  expect(await patch(url, ada, 0, 'hello')).toMatchObject({ status: 204 });
  const missing = { status: 404, body: { error: 'There is no such upload.' } };
  expect(await tus('GET', url, grace)).toMatchObject(missing);
  expect(await patch(url, grace, 5, 'world')).toMatchObject(missing);
  expect(await tus('DELETE', url, grace)).toMatchObject(missing);
  expect(await tus('HEAD', url, grace)).toMatchObject({ status: 404 });
  expect(await offsetOf(url, ada)).toBe(5);
  expect(await patch(url, ada, 5, 'world')).toMatchObject({ status: 204, body: null });
  const { body } = await tus('GET', url, ada);
  expect(body.files).toMatchObject([{ size: 10, contentType: 'text/plain' }]);
  expect(await tus('GET', url, grace)).toMatchObject(missing);
});

test('uploading in pieces requires a signed-in user, whose session has not ended', async () => {
  const linus = await signUp(server, 'linus');
  const url = await begun(server, linus, 10);
  const unsigned = { status: 401, body: { error: expect.any(String) } };
  for (const by of [null, { token: `${linus.token}x` }]) {
    expect(await begin(server, by, 10)).toMatchObject(unsigned);
    expect(await patch(url, by, 0, 'hello')).toMatchObject(unsigned);
    expect(await tus('GET', url, by)).toMatchObject(unsigned);
    expect(await tus('DELETE', url, by)).toMatchObject(unsigned);
    expect((await tus('HEAD', url, by)).status).toBe(401);
  }
  expect(await offsetOf(url, linus)).toBe(0);
  await linus.ask('mutation { signOut }');
  expect(await patch(url, linus, 0, 'hello')).toMatchObject(unsigned);
  await server.sql.query('delete from partial_uploads');
  await sweep();
});

test('a canceled upload leaves nothing behind', async () => {
  const url = await begun(server, ada, 500_000);
  await patch(url, ada, 0, Buffer.alloc(200_000));
  expect(await countPartial(server)).toEqual({ rows: 1, stored: 1 });
  await expectEnd(url);
  for (const method of ['HEAD', 'GET', 'DELETE']) expect((await tus(method, url, ada)).status).toBe(404);
  expect(await patch(url, ada, 200_000, 'more')).toMatchObject({ status: 404 });
  expect((await countStored(server)).incoming).toBe(0);
});

test('a complete upload can no longer be canceled: it is a file', async () => {
  const { url } = await uploadWithTus(server, ada, Buffer.from('whole'));
  expect(await tus('DELETE', url, ada)).toMatchObject({
    status: 409,
    body: { error: 'This upload has already been completed.' },
  });
  expect((await tus('GET', url, ada)).status).toBe(200);
});

test('after a day an upload is gone with its bytes, and so is the record of a complete one', async () => {
  const url = await begun(server, ada, 500_000);
  await patch(url, ada, 0, Buffer.alloc(200_000));
  const young = await begun(server, ada, 500_000);
  const expires = Date.parse((await begin(server, grace, 10)).headers.get('upload-expires') ?? '');
  expect(expires - Date.now()).toBeGreaterThan(23 * 60 * 60_000);
  expect(expires - Date.now()).toBeLessThanOrEqual(24 * 60 * 60_000);
  await server.sql.query(`update partial_uploads set created_at = now() - interval '25 hours' where id <> $1`, [
    idOf(young),
  ]);
  expect(await offsetOf(url, ada)).toBeNull();
  expect(await patch(url, ada, 200_000, 'more')).toMatchObject({ status: 404 });
  await sweep();
  expect(await countPartial(server)).toEqual({ rows: 1, stored: 1 });
  expect(await offsetOf(young, ada)).toBe(0);
  await expectEnd(young);
});

test('an account’s unfinished uploads are deleted with it', async () => {
  const barbara = await signUp(server, 'barbara');
  await begun(server, barbara, 1_000);
  expect(await countPartial(server)).toEqual({ rows: 1, stored: 1 });
  await server.sql.query(`delete from users where username = 'barbara'`);
  await sweep();
  expect(await countPartial(server)).toEqual(nothing);
});

// Too much --------------------------------------------------------------------------------------------------------------

test('an upload over the limit is not created', async () => {
  expect(await begin(server, ada, 1_000_001)).toMatchObject({
    status: 413,
    body: { error: 'A file may be at most 1000000 bytes long.' },
  });
  expect(await countPartial(server)).toEqual(nothing);
  await expectEnd(await begun(server, ada, 1_000_000));
});

test('an upload of unknown length is refused while it streams, and no more than the limit is stored', async () => {
  const url = await begun(server, ada, null);
  const refused = await patch(url, ada, 0, Buffer.alloc(3_000_000));
  expect(refused).toMatchObject({ status: 413, body: { error: 'A file may be at most 1000000 bytes long.' } });
  const offset = (await offsetOf(url, ada)) ?? Number.NaN;
  expect(offset).toBeLessThanOrEqual(1_000_000);
  expect(await patch(url, ada, offset, '', { 'upload-length': '1000001' })).toMatchObject({ status: 413 });
  expect(await patch(url, ada, offset, 'x'.repeat(1_000_001 - offset))).toMatchObject({ status: 413 });
  await expectEnd(url);
});

test('an upload with more bytes than declared is refused, and keeps its declared length', async () => {
  const url = await begun(server, ada, 10);
  expect(await patch(url, ada, 0, 'hello, world')).toMatchObject({ status: 413 });
  const chunked = new Blob(['hello, world']).stream();
  expect(await patch(url, ada, 0, chunked)).toMatchObject({ status: 413 });
  expect(await offsetOf(url, ada)).toBeLessThanOrEqual(10);
  await expectEnd(url);
});

test.each<[string, () => Promise<string>, number]>([
  ['PATCH', () => begun(server, ada, 10), 413],
  ['POST', async () => `${server.url}/api/upload/tus`, 201],
  ['DELETE', () => begun(server, ada, 10), 204],
])('a client that keeps sending after the answer to a %s is cut off', async (method, open, expected) => {
  const outgoing = request(await open(), {
    method,
    headers: {
      authorization: `Bearer ${ada.token}`,
      'tus-resumable': '1.0.0',
      ...(method === 'PATCH' && { 'upload-offset': '0', 'content-type': 'application/offset+octet-stream' }),
      ...(method === 'POST' && { 'upload-length': '10' }),
      'transfer-encoding': 'chunked',
    },
  });
  const closed = new Promise((resolve) => outgoing.on('close', resolve).on('error', resolve));
  const status = new Promise((resolve) => outgoing.on('response', ({ statusCode }) => resolve(statusCode)));
  outgoing.write('x'.repeat(100_000));
  expect(await status).toBe(expected);
  await closed;
  await server.sql.query('delete from partial_uploads where file_id is null');
  await sweep();
});

test('a piece that arrives too slowly is cut off, and the bytes received so far are kept', async () => {
  const impatient = await startServer({ database: server.database, overrides: { uploadIdleMs: 100 } });
  const url = await begun(impatient, ada, 10_000);
  const outgoing = request(url, {
    method: 'PATCH',
    headers: {
      authorization: `Bearer ${ada.token}`,
      'tus-resumable': '1.0.0',
      'upload-offset': '0',
      'content-type': 'application/offset+octet-stream',
      'content-length': 10_000,
    },
  });
  const closed = new Promise((resolve) => outgoing.on('close', resolve).on('error', resolve));
  outgoing.write('x'.repeat(3_000));
  await closed;
  expect(await offsetOf(url, ada)).toBe(3_000);
  expect(await patch(url, ada, 3_000, 'y'.repeat(7_000))).toMatchObject({ status: 204 });
  await impatient.close();
  expect(impatient.log.filter(({ level }) => level === 'error')).toEqual([]);
});

test('an unfinished upload counts toward the quota until it is canceled', async () => {
  await using small = await startServer({ env: { USER_QUOTA_BYTES: '1000' } });
  const [linus, dennis] = await Promise.all([signUp(small, 'linus'), signUp(small, 'dennis')]);
  const url = await begun(small, linus, 600);
  const over = { status: 413, body: { error: expect.stringContaining('1000 bytes') } };
  expect(await begin(small, linus, 500)).toMatchObject(over);
  expect(await postFiles(small, linus, [{ name: 'b', content: 'y'.repeat(500) }])).toMatchObject(over);
  // An upload of unknown length may use the remaining space.
  const rest = await begun(small, linus, null);
  expect(await begin(small, linus, 1)).toMatchObject(over);
  expect(await patch(rest, linus, 0, 'z'.repeat(401))).toMatchObject({ status: 413 });
  expect(await patch(url, linus, 0, 'x'.repeat(600))).toMatchObject({ status: 204 });
  expect(await begin(small, linus, 1)).toMatchObject(over);
  expect((await tus('DELETE', rest, linus)).status).toBe(204);
  await upload(small, linus, 'y'.repeat(400));
  await upload(small, dennis, 'y'.repeat(1_000));
});

test('of many uploads created at the same time, only as many are accepted as fit', async () => {
  await using small = await startServer({ env: { USER_QUOTA_BYTES: '1000' } });
  const linus = await signUp(small, 'linus');
  const answers = await Promise.all(Array.from({ length: 6 }, () => begin(small, linus, 400)));
  expect(answers.filter(({ status }) => status === 201)).toHaveLength(2);
  expect(await countPartial(small)).toEqual({ rows: 2, stored: 2 });
});

test('no one can have more than twenty unfinished uploads', async () => {
  const urls = await Promise.all(Array.from({ length: 20 }, () => begun(server, ada, 10)));
  expect(await begin(server, ada, 10)).toMatchObject({ status: 429, body: { error: expect.stringContaining('20') } });
  expect(await begin(server, grace, 10)).toMatchObject({ status: 201 });
  expect(await patch(urls[0] ?? '', ada, 0, '0123456789')).toMatchObject({ status: 204 });
  expect(await begin(server, ada, 10)).toMatchObject({ status: 201 });
  await server.sql.query('delete from partial_uploads');
  await sweep();
});

// Bad requests -----------------------------------------------------------------------------------------------------------

test.each<[string, Record<string, string>, number]>([
  ['no length', {}, 400],
  ['a length that is also deferred', { 'upload-length': '5', 'upload-defer-length': '1' }, 400],
  ['a negative length', { 'upload-length': '-1' }, 400],
  ['a length that is not a number', { 'upload-length': '1e3' }, 400],
  ['a length that is too large', { 'upload-length': '99999999999999999999' }, 400],
  ['another version', { 'upload-length': '5', 'tus-resumable': '0.2.2' }, 412],
  ['malformed metadata', { 'upload-length': '5', 'upload-metadata': 'filename ***' }, 400],
  ['metadata into a prototype', { 'upload-length': '5', 'upload-metadata': '__proto__ YQ==' }, 400],
  ['too much metadata', { 'upload-length': '5', 'upload-metadata': metadataOf({ filename: 'x'.repeat(4_000) }) }, 400],
  ['the content of a part only', { 'upload-length': '5', 'upload-concat': 'partial' }, 400],
  ['a concatenation', { 'upload-length': '5', 'upload-concat': 'final;/a /b' }, 400],
])('an upload with %s is not created', async (_, headers, status) => {
  const refused = await tus('POST', `${server.url}/api/upload/tus`, ada, { headers });
  expect(refused).toMatchObject({ status, body: { error: expect.any(String) } });
  expect(await countPartial(server)).toEqual(nothing);
});

test('a request that does not follow the protocol gets an error that says so', async () => {
  const response = await fetch(`${server.url}/api/upload/tus`, {
    method: 'POST',
    headers: { authorization: `Bearer ${ada.token}`, 'upload-length': '5' },
  });
  expect(response.status).toBe(412);
  expect(response.headers.get('tus-version')).toBe('1.0.0');
  const old = await begin(server, ada, 5, { 'tus-resumable': '0.2.2' });
  expect([old.status, old.headers.get('tus-version')]).toEqual([412, '1.0.0']);
  expect((await tus('PUT', `${server.url}/api/upload/tus`, ada)).status).toBe(404);
});

test.each([
  ['of the wrong length', 'x'],
  ['that was never created', 'A'.repeat(22)],
  ['of ten thousand characters', 'A'.repeat(10_000)],
  ['that is a path', '..%2f..%2fetc%2fpasswd'],
  ['that is a NUL', '%00'],
  ['that is not valid UTF-8', '%E0%A4%A'],
])('there is no upload %s', async (_, id) => {
  const url = `${server.url}/api/upload/tus/${id}`;
  for (const method of ['HEAD', 'GET', 'DELETE']) expect((await tus(method, url, ada)).status).toBe(404);
  expect((await patch(url, ada, 0, 'hello')).status).toBe(404);
});

test.each<[string, Record<string, string>, number]>([
  ['at the wrong offset', { 'upload-offset': '3' }, 409],
  ['without an offset', { 'upload-offset': '' }, 400],
  ['of another type', { 'content-type': 'text/plain' }, 400],
  ['with another length', { 'upload-length': '20' }, 400],
])('a piece %s is refused, and nothing is changed', async (_, headers, status) => {
  const url = await begun(server, ada, 10);
  expect(await patch(url, ada, 0, 'hello', headers)).toMatchObject({ status, body: { error: expect.any(String) } });
  expect(await offsetOf(url, ada)).toBe(0);
  await expectEnd(url);
});

test('a broken picture is refused once it is complete, and deleted', async () => {
  const broken = Buffer.concat([Buffer.from('89504e470d0a1a0a0000000d49484452', 'hex'), Buffer.alloc(100)]);
  const url = await begun(server, ada, broken.length);
  expect(await patch(url, ada, 0, broken)).toMatchObject({
    status: 400,
    body: { error: 'file: is a damaged picture' },
  });
  expect(await countPartial(server)).toEqual(nothing);
  expect((await tus('GET', url, ada)).status).toBe(404);
  expect((await countStored(server)).incoming).toBe(0);
});

test.each([
  ['a path', '../../etc/passwd', 'passwd'],
  ['controls', 'a\u0000b\u0001.txt', 'ab.txt'],
  ['no name', '', 'file'],
  ['another script', '記録😀.txt', '記録😀.txt'],
  ['two thousand characters long', `${'x'.repeat(2_000)}.txt`, `${'x'.repeat(251)}.txt`],
])('an upload whose name is %s gets a safe name', async (_, filename, name) => {
  const { answer, url } = await uploadWithTus(server, ada, Buffer.from('hello'), { metadata: { filename } });
  expect(answer.files[0].name).toBe(name);
  expect((await tus('HEAD', url, ada)).headers.get('upload-metadata')).toBe(metadataOf({ filename }).trim());
});

test('a page from another origin may make all of these requests, and read the headers it needs', async () => {
  const preflight = await fetch(`${server.url}/api/upload/tus`, {
    method: 'OPTIONS',
    headers: {
      origin: 'https://chat.example.com',
      'access-control-request-method': 'PATCH',
      'access-control-request-headers': 'authorization, tus-resumable, upload-offset, upload-length, upload-metadata',
    },
  });
  expect(preflight.status).toBe(204);
  const allows = (name: string) => preflight.headers.get(`access-control-allow-${name}`)?.split(', ');
  expect(allows('methods')).toEqual(expect.arrayContaining(['POST', 'HEAD', 'PATCH', 'DELETE']));
  expect(allows('headers')).toEqual(
    expect.arrayContaining(['authorization', 'tus-resumable', 'upload-length', 'upload-metadata', 'upload-offset']),
  );
  const { headers } = await begin(server, ada, 10, { origin: 'https://chat.example.com' });
  expect(headers.get('access-control-allow-origin')).toBe('*');
  const exposed = headers.get('access-control-expose-headers')?.split(', ');
  expect(exposed).toEqual(expect.arrayContaining(['Location', 'Upload-Offset', 'Upload-Length', 'Upload-Expires']));
  await using strict = await startServer({
    database: server.database,
    env: { CORS_ORIGIN: 'https://chat.example.com' },
  });
  for (const [origin, told] of [
    ['https://chat.example.com', 'https://chat.example.com'],
    ['https://evil.example.com', null],
  ] as const) {
    expect((await begin(strict, ada, 10, { origin })).headers.get('access-control-allow-origin')).toBe(told);
  }
  await server.sql.query('delete from partial_uploads where file_id is null');
  await sweep();
});

test('anyone can ask what the server supports, even without a token', async () => {
  const response = await fetch(`${server.url}/api/upload/tus`, { method: 'OPTIONS' });
  expect(response.status).toBe(204);
  const { headers } = response;
  expect(headers.get('tus-version')).toBe('1.0.0');
  expect(headers.get('tus-max-size')).toBe('1000000');
  const extensions = 'creation,creation-with-upload,creation-defer-length,termination,expiration';
  expect(headers.get('tus-extension')).toBe(extensions);
});

// Stock clients ---------------------------------------------------------------------------------------------------------

test('a POST can replace PATCH, HEAD and DELETE, with the same rights', async () => {
  const url = await begun(server, ada, 10);
  const as = (method: string, by: Person | null, headers: Record<string, string> = {}, body?: string) =>
    tus('POST', url, by, { headers: { 'x-http-method-override': method, ...headers }, ...(body && { body }) });
  const piece = { 'upload-offset': '0', 'content-type': 'application/offset+octet-stream' };
  expect(await as('PATCH', null, piece, 'hello')).toMatchObject({ status: 401 });
  expect(await as('PATCH', grace, piece, 'hello')).toMatchObject({ status: 404 });
  expect(await as('PATCH', ada, piece, 'hello')).toMatchObject({ status: 204 });
  expect((await as('HEAD', ada)).headers.get('upload-offset')).toBe('5');
  const read = await tus('GET', url, ada, { headers: { 'x-http-method-override': 'DELETE' } });
  expect(read.status).toBe(409);
  expect(await as('DELETE', ada)).toMatchObject({ status: 204 });
  expect(await offsetOf(url, ada)).toBeNull();
});

test('repeating the same length is accepted; a different one is refused, and the error names the header', async () => {
  const url = await begun(server, ada, null);
  expect(await patch(url, ada, 0, 'hello', { 'upload-length': '10' })).toMatchObject({ status: 204 });
  expect(await patch(url, ada, 5, 'wor', { 'upload-length': '11' })).toMatchObject({
    status: 400,
    body: { error: 'Upload-Length: was 10 before and cannot change' },
  });
  expect(await patch(url, ada, 5, 'world', { 'upload-length': '10' })).toMatchObject({ status: 204 });
  expect((await tus('GET', url, ada)).body.files).toMatchObject([{ size: 10 }]);
});

test('an empty file is accepted, whether its length is declared at the beginning or later', async () => {
  const whole = await begin(server, ada, 0);
  expect(whole).toMatchObject({ status: 201, body: { files: [{ size: 0 }] } });
  const url = await begun(server, ada, null);
  expect(await patch(url, ada, 0, '', { 'upload-length': '0' })).toMatchObject({ status: 204 });
  expect((await tus('GET', url, ada)).body.files).toMatchObject([{ size: 0, contentType: 'text/plain' }]);
  expect((await uploadWithTus(server, ada, Buffer.alloc(0))).answer.files).toMatchObject([{ size: 0 }]);
});

test('the stock client learns immediately that parallel parts are not supported', async () => {
  const retries: unknown[] = [];
  const uploading = uploadWithTus(server, ada, Buffer.alloc(200_000), {
    parallelUploads: 2,
    retryDelays: [10, 10],
    onShouldRetry: (error) => retries.push(error) < 0,
  });
  await expect(uploading).rejects.toThrow('not supported');
  expect(await countPartial(server)).toEqual(nothing);
});

test('none of these requests caused a server error', () => {
  expect(server.log.filter(({ level }) => level === 'error')).toEqual([]);
});
