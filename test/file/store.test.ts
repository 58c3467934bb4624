import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, utimes } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { LocalStore } from '../../src/file/store/local.ts';
import { S3Store } from '../../src/file/store/s3.ts';
import { parseS3Location } from '../../src/file/store/s3-location.ts';
import type { FileStore, StagedBytes } from '../../src/file/store/store.ts';
import { locationOf, startS3, type S3 } from '../support/s3.ts';
import { atFileEnd } from '../support/file-end.ts';

let s3: S3 | null = null;
atFileEnd(async () => s3?.remove());

const makers: [string, (folder: string) => Promise<FileStore>][] = [
  ['the local disk', async (folder) => new LocalStore(folder)],
  [
    'S3',
    async (folder) => {
      const location = parseS3Location(locationOf((s3 = await startS3()), '&prefix=chat/files'));
      return new S3Store(location, { incoming: join(folder, 'incoming'), report: () => {} });
    },
  ],
];

/** Tests the behaviour that every store must have. */
describe.each(makers)('%s', (_name, makeStore) => {
  let folder: string;
  let store: FileStore;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'parley-store-'));
    store = await makeStore(folder);
    await store.prepare();
  });
  atFileEnd(() => rm(folder, { recursive: true, force: true }));

  async function* inPieces(content: Uint8Array) {
    for (let offset = 0; offset < content.length; offset += 60_000) yield content.subarray(offset, offset + 60_000);
  }
  const stage = (content: string | Uint8Array) => store.stage(inPieces(Buffer.from(content)));
  const keep = async (content: string | Uint8Array): Promise<StagedBytes> => {
    const staged = await stage(content);
    await staged.send();
    await staged.keep();
    return staged;
  };
  const read = async (hash: string, start: number, end: number) => {
    const bytes = await store.open(hash, { start, end });
    if (bytes === null) return null;
    const chunks: Buffer[] = [];
    for await (const chunk of bytes) chunks.push(Buffer.from(chunk));
    return Buffer.concat(chunks);
  };
  const isKept = async (hash: string) => (await store.list(hash.slice(0, 2))).includes(hash);
  const incoming = () => readdir(join(folder, 'incoming'));

  test('staged bytes can be read, but are not in the store until they are kept', async () => {
    const staged = await stage('what hath been wrought');
    const hash = createHash('sha256').update('what hath been wrought').digest('hex');
    expect(staged).toMatchObject({ hash, size: 22, head: Buffer.from('what hath been wrought') });
    expect(await readFile(staged.content, 'utf8')).toBe('what hath been wrought');
    expect([await isKept(hash), await read(hash, 0, 21)]).toEqual([false, null]);
    await staged.keep();
    expect(await isKept(hash)).toBe(true);
    expect(String(await read(hash, 0, 21))).toBe('what hath been wrought');
    expect(String(await read(hash, 5, 8))).toBe('hath');
    expect(await incoming()).toEqual([]);
  });

  test('kept bytes are still there after they are discarded; bytes that are only discarded are gone', async () => {
    const [kept, discarded] = [await keep('kept'), await stage('discarded')];
    for (const staged of [kept, discarded]) await staged.discard();
    expect([await isKept(kept.hash), await isKept(discarded.hash)]).toEqual([true, false]);
    expect(await incoming()).toEqual([]);
  });

  test('identical bytes are kept once, however often they arrive, even at the same time', async () => {
    const [one, other] = await Promise.all([keep('the same'), keep('the same')]);
    expect(one.hash).toBe(other.hash);
    expect((await store.list(one.hash.slice(0, 2))).filter((hash) => hash === one.hash)).toHaveLength(1);
    expect(String(await read(one.hash, 0, 7))).toBe('the same');
  });

  test('many bytes come back unchanged, whole and in part', async () => {
    const content = randomBytes(12 * 1024 * 1024 + 3);
    const { hash, size } = await keep(content);
    expect(size).toBe(content.length);
    expect((await read(hash, 0, size - 1))?.equals(content)).toBe(true);
    const [start, end] = [5 * 1024 * 1024 - 2, 5 * 1024 * 1024 + 4];
    expect((await read(hash, start, end))?.equals(content.subarray(start, end + 1))).toBe(true);
    expect((await read(hash, size - 1, size - 1))?.equals(content.subarray(-1))).toBe(true);
  });

  test('an incoming file that is aborted leaves nothing behind, and the error says why', async () => {
    async function* breaking() {
      yield Buffer.from('half');
      throw new Error('the client has gone');
    }
    await expect(store.stage(breaking())).rejects.toThrow('the client has gone');
    expect(await incoming()).toEqual([]);
  });

  test('bytes that are swept between being staged and being kept are still there afterwards', async () => {
    const staged = await stage('swept meanwhile');
    await staged.send();
    await store.remove(staged.hash);
    await staged.keep();
    expect(String(await read(staged.hash, 0, 14))).toBe('swept meanwhile');
  });

  test('removed bytes are gone, and may be removed again and kept again', async () => {
    const { hash } = await keep('removed');
    await store.remove(hash);
    await store.remove(hash);
    expect([await isKept(hash), await read(hash, 0, 6)]).toEqual([false, null]);
    await keep('removed');
    expect(await isKept(hash)).toBe(true);
  });

  test('kept bytes are listed by the first two digits of their hash', async () => {
    const contents = Array.from({ length: 40 }, (_, index) => `one of many: ${index}`);
    const hashes = (await Promise.all(contents.map(keep))).map(({ hash }) => hash);
    for (const prefix of new Set(hashes.map((hash) => hash.slice(0, 2)))) {
      const listed = await store.list(prefix);
      expect(listed.every((hash) => hash.startsWith(prefix))).toBe(true);
      expect(listed).toEqual(expect.arrayContaining(hashes.filter((hash) => hash.startsWith(prefix))));
    }
  });

  test('partial files left by a crash are swept once they are old', async () => {
    const [old, young] = [await stage('old'), await stage('young')];
    const dayAgo = new Date(Date.now() - 24 * 60 * 60_000);
    await utimes(old.content, dayAgo, dayAgo);
    expect(await store.sweepStaged(new Date(Date.now() - 60_000))).toBe(1);
    expect(await incoming()).toHaveLength(1);
    await young.keep();
    expect(await isKept(young.hash)).toBe(true);
  });
});
