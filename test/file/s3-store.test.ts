import { createHash, randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, expect, test, vi } from 'vitest';
import { CannotStart, StoreUnavailable } from '../../src/errors.ts';
import { S3Store } from '../../src/file/store/s3.ts';
import { parseS3Location } from '../../src/file/store/s3-location.ts';
import { openProxy } from '../support/proxy.ts';
import { locationOf, startS3, type S3 } from '../support/s3.ts';
import { atFileEnd } from '../support/file-end.ts';

let s3: S3;
let incoming: string;
let store: S3Store;
const reports: unknown[] = [];
beforeAll(async () => {
  s3 = await startS3();
  incoming = await mkdtemp(join(tmpdir(), 'parley-incoming-'));
  store = storeAt(locationOf(s3));
  await store.prepare();
});
atFileEnd(() => s3.remove());
atFileEnd(() => rm(incoming, { recursive: true, force: true }));

const storeAt = (location: string) =>
  new S3Store(parseS3Location(location), { incoming, report: (...told) => void reports.push(told) });
const hashOf = (content: string | Uint8Array) => createHash('sha256').update(content).digest('hex');
const keyOf = (hash: string) => `${hash.slice(0, 2)}/${hash.slice(2)}`;
async function* whole(content: string | Uint8Array) {
  yield Buffer.from(content);
}

test('an object is named by its hash, in the configured folder, and exposes nothing to a browser', async () => {
  const inFolder = storeAt(locationOf(s3, '&prefix=chat'));
  const staged = await inFolder.stage(whole('in a folder'));
  await staged.keep();
  expect(await s3.listKeys()).toContain(`chat/${keyOf(hashOf('in a folder'))}`);
  // s3rver shows the contents of a bucket to anyone.
  const { headers } = await fetch(`${s3.url}/${s3.bucket}/chat/${keyOf(staged.hash)}`);
  expect(headers.get('content-type')).toBe('application/octet-stream');
  expect(headers.get('content-disposition')).toBe('attachment');
  expect(await store.list(staged.hash.slice(0, 2))).not.toContain(staged.hash);
});

test('objects are listed across pages, and foreign ones are left out', async () => {
  const prefix = 'ab';
  const hashes = Array.from({ length: 1_001 }, () => prefix + randomBytes(31).toString('hex'));
  const names = [...hashes.map(keyOf), `${prefix}/c.txt`, `${prefix}/${'z'.repeat(62)}`, `${prefix}c`];
  await mkdir(join(s3.folder, prefix), { recursive: true });
  await Promise.all(names.map((name) => writeFile(join(s3.folder, `${name}._S3rver_object`), '')));
  expect((await store.list(prefix)).toSorted()).toEqual(hashes.toSorted());
});

test('an existing object is not uploaded again, unless its size is wrong', async () => {
  const staged = await store.stage(whole('sent once'));
  await staged.send();
  const pathOf = (hash: string) => join(s3.folder, `${keyOf(hash)}._S3rver_object`);
  const longAgo = new Date(0);
  await utimes(pathOf(staged.hash), longAgo, longAgo);
  await (await store.stage(whole('sent once'))).keep();
  await staged.keep();
  const read = async () => (await fetch(`${s3.url}/${s3.bucket}/${keyOf(staged.hash)}`)).headers.get('last-modified');
  expect(await read()).toBe(longAgo.toUTCString());
  await writeFile(pathOf(staged.hash), 'half');
  await (await store.stage(whole('sent once'))).keep();
  const bytes = await store.open(staged.hash, { start: 0, end: 8 });
  expect(String(Buffer.concat((await bytes?.toArray()) ?? []))).toBe('sent once');
});

test('old unfinished multipart uploads are aborted, except those of other applications', async () => {
  const key = keyOf(hashOf('never ended'));
  const uploads: [string, string, number][] = [
    ['1-old', key, 25],
    ['2-young', key, 1],
    ['3-old', key, 30],
    ['4-of-others', 'backup.tar', 50],
  ];
  for (const [id, name, hours] of uploads) {
    const folder = join(s3.folder, '._S3rver_uploads', id);
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, 'key'), name);
    const date = new Date(Date.now() - hours * 60 * 60_000);
    await utimes(join(folder, 'key'), date, date);
  }
  expect(await store.sweepStaged(new Date(Date.now() - 24 * 60 * 60_000))).toBe(2);
  expect(await s3.listUploads()).toEqual(['2-young', '4-of-others']);
  await rm(join(s3.folder, '._S3rver_uploads'), { recursive: true });
});

test('when the connection breaks during an upload, nothing of it is left, and a later upload succeeds', async () => {
  const proxy = await openProxy(s3.url);
  const byProxy = storeAt(locationOf({ ...s3, url: proxy.through(s3.url) }));
  const content = randomBytes(11 * 1024 * 1024);
  const staged = await byProxy.stage(whole(content));
  // The proxy holds back the answer to the last part, and then the connection is cut for good.
  const held = proxy.hold('partNumber=3');
  const sending = staged.send();
  await held.caught;
  expect(await s3.listUploads()).toHaveLength(1);
  await proxy.close();
  await expect(sending).rejects.toThrow(StoreUnavailable);
  expect(reports.at(-1)).toEqual([
    'warn',
    'the file store is not available',
    { doing: 'writing', reason: expect.stringContaining('ECONN'), error: expect.any(Error) },
  ]);
  expect(await s3.listKeys()).not.toContain(keyOf(staged.hash));
  expect(await readdir(incoming)).toHaveLength(1);
  // S3 was unreachable, so the partial upload stays until it is swept.
  expect(await storeAt(locationOf(s3)).sweepStaged(new Date(Date.now() + 60_000))).toBe(2);
  expect(await s3.listUploads()).toEqual([]);
  expect(await readdir(incoming)).toEqual([]);
  const again = await storeAt(locationOf(s3)).stage(whole(content));
  await again.keep();
  expect(await s3.listKeys()).toContain(keyOf(staged.hash));
});

test('when one part is refused, the whole multipart upload is aborted', async () => {
  const staged = await store.stage(whole(randomBytes(11 * 1024 * 1024)));
  s3.refuse('partNumber=2');
  await expect(staged.send()).rejects.toThrow(StoreUnavailable);
  s3.refuse(null);
  expect(await s3.listUploads()).toEqual([]);
  expect(await s3.listKeys()).not.toContain(keyOf(staged.hash));
  await staged.discard();
});

test('a server whose bucket is unusable does not start, and says why', async () => {
  const prepare = (location: string) => storeAt(location).prepare();
  await expect(prepare(locationOf({ ...s3, bucket: 'no-such-bucket' }))).rejects.toThrow(
    new CannotStart('FILE_STORE, bucket no-such-bucket: there is no such bucket.'),
  );
  await expect(prepare('s3://parley-files?endpoint=http://127.0.0.1:1')).rejects.toThrow(
    /^FILE_STORE, bucket parley-files: it can't be reached: .*ECONNREFUSED/,
  );
  s3.refuse('PUT /parley-files/write-check');
  await expect(prepare(locationOf(s3))).rejects.toThrow(
    new CannotStart(
      'FILE_STORE, bucket parley-files: it denies access (AccessDenied): listing, reading, writing and deleting must be allowed.',
    ),
  );
  s3.refuse(null);
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'AKIAUNKNOWN');
  await expect(prepare(locationOf(s3))).rejects.toThrow('it denies access (InvalidAccessKeyId)');
  // The server must not find other credentials on this machine.
  for (const name of ['AWS_CONFIG_FILE', 'AWS_SHARED_CREDENTIALS_FILE']) vi.stubEnv(name, '/dev/null');
  vi.stubEnv('AWS_EC2_METADATA_DISABLED', 'true');
  vi.stubEnv('AWS_ACCESS_KEY_ID', undefined);
  await expect(prepare(locationOf(s3))).rejects.toThrow('there are no credentials: set AWS_ACCESS_KEY_ID');
  vi.stubEnv('AWS_REGION', undefined);
  await expect(prepare(locationOf(s3))).rejects.toThrow('it needs a region');
  vi.unstubAllEnvs();
  await prepare(locationOf(s3));
  expect((await s3.listKeys()).filter((name) => name.includes('check'))).toEqual([]);
});

test('an S3 error does not mean missing bytes: nothing is treated as missing', async () => {
  s3.refuse('/');
  await expect(store.list('ab')).rejects.toThrow(StoreUnavailable);
  await expect(store.open(hashOf('x'), { start: 0, end: 1 })).rejects.toThrow(StoreUnavailable);
  await expect(store.remove(hashOf('x'))).rejects.toThrow(StoreUnavailable);
  s3.refuse(null);
  expect(await store.open(hashOf('x'), { start: 0, end: 1 })).toBeNull();
});

test('a store that is closed does not wait for responses', async () => {
  const proxy = await openProxy(s3.url);
  const closing = storeAt(locationOf({ ...s3, url: proxy.through(s3.url) }));
  // A store that is not closed gives up only after 15 seconds.
  const held = proxy.hold('GET /');
  const listing = closing.list('ab');
  await held.caught;
  closing.close();
  await expect(listing).rejects.toThrow(StoreUnavailable);
}, 8_000);
