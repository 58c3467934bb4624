import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import sharp from 'sharp';
import { beforeAll, expect, test } from 'vitest';
import { connectDatabase, disconnectDatabase, type Db } from '../../src/postgres/client.ts';
import { comparePrefix, sweepLoose } from '../../src/file/file-sweep.ts';
import { storeSmallInline } from '../../src/file/store/inline.ts';
import { LocalStore } from '../../src/file/store/local.ts';
import { createGroup, keyOf, removeMember, say } from '../support/chat.ts';
import { signUp, type Person } from '../support/client.ts';
import {
  countStored,
  download,
  nothingInline,
  postFiles,
  postGraphqlForm,
  readFileNode,
  upload,
} from '../support/file.ts';
import { atFileEnd } from '../support/file-end.ts';
import { deleteMessage } from '../support/message.ts';
import { openProxy } from '../support/proxy.ts';
import { rounds } from '../support/rounds.ts';
import { racing, startServer, type TestServer } from '../support/server.ts';

let server: TestServer;
/** A node on another machine. The two nodes share the database, but no disk. */
let otherMachine: TestServer;
/** A node like `server`, except that it stores no files inline. */
let storing: TestServer;
let ada: Person;
let grace: Person;
let chatId: string;
let sweeping: { db: Db; store: LocalStore };
beforeAll(async () => {
  server = await startServer({ env: racing });
  const folder = await mkdtemp(join(tmpdir(), 'parley-machine-'));
  atFileEnd(() => rm(folder, { recursive: true, force: true }));
  otherMachine = await startServer({ database: server.database, env: { DATA_DIR: folder } });
  storing = await startServer({ database: server.database, env: nothingInline });
  [ada, grace] = await Promise.all([signUp(server, 'ada'), signUp(server, 'grace')]);
  chatId = await createGroup(ada, [grace]);
  const { url } = server.database;
  const db = connectDatabase({ url, maxConnections: 4, statementTimeoutMs: 10_000, onError: () => {} });
  sweeping = { db, store: new LocalStore(join(server.dataDir, 'files')) };
});
atFileEnd(() => disconnectDatabase(sweeping.db));

const hashOf = (content: string | Uint8Array) => createHash('sha256').update(content).digest('hex');
const isStored = async (content: string | Uint8Array) =>
  (await sweeping.store.list(hashOf(content).slice(0, 2))).includes(hashOf(content));
/** Returns whether the content is stored inline, or null if no row has its hash. */
async function isInline(content: string | Uint8Array): Promise<boolean | null> {
  const { rows } = await server.sql.query(`select bytes is not null as is from blobs where hash = decode($1, 'hex')`, [
    hashOf(content),
  ]);
  return rows[0]?.is ?? null;
}

test.each([1, 3_999, 16_384, 16_385, 70_000])(
  'a file of %i bytes comes back unchanged, from every node',
  async (size) => {
    const content = new Uint8Array(randomBytes(size)).fill(0, 0, 1);
    const { id, url } = await upload(server, ada, content, 'a.bin');
    expect(await readFileNode(ada, id)).toMatchObject({ size, contentType: 'application/octet-stream' });
    const isSmall = size <= 16_384;
    expect([await isInline(content), await isStored(content)]).toEqual([isSmall, !isSmall]);
    const answers = await Promise.all([server, ...(isSmall ? [otherMachine] : [])].map((node) => download(node, url)));
    for (const answer of answers) {
      expect(answer.headers.get('content-length')).toBe(String(size));
      expect(Buffer.from(await answer.arrayBuffer()).equals(content)).toBe(true);
    }
  },
);

test('a file in the database supports ranges, HEAD and conditional requests', async () => {
  const { url } = await upload(server, ada, 'what hath been wrought');
  const part = await download(server, url, { headers: { range: 'bytes=5-8' } });
  expect([part.status, part.headers.get('content-range'), await part.text()]).toEqual([206, 'bytes 5-8/22', 'hath']);
  const head = await download(server, url, { method: 'HEAD' });
  expect([head.status, head.headers.get('content-length'), await head.text()]).toEqual([200, '22', '']);
  const etag = head.headers.get('etag') ?? '';
  expect((await download(server, url, { headers: { 'if-none-match': etag } })).status).toBe(304);
  const other = await download(server, url, { headers: { 'if-none-match': '"another"', range: 'bytes=-7' } });
  expect([other.status, await other.text()]).toEqual([206, 'wrought']);
});

test('a user who is removed from the chat no longer gets the file', async () => {
  const { id } = await upload(server, ada, 'for members only');
  const other = await createGroup(ada, [grace]);
  await say(ada, other, '', { fileIds: [id] });
  const { url } = await readFileNode(grace, id);
  expect((await download(server, url)).status).toBe(200);
  await removeMember(server, other, grace);
  expect((await download(server, url)).status).toBe(404);
});

test('identical files in the database are stored once, and deleted with the last message that has them', async () => {
  const content = 'said twice';
  const messageIds: string[] = [];
  for (const by of [ada, grace]) {
    const { id } = await upload(server, by, content);
    messageIds.push(await say(by, chatId, 'look', { fileIds: [id] }));
  }
  await deleteMessage(ada, messageIds[0] ?? '');
  await sweepLoose(sweeping, 100);
  expect(await isInline(content)).toBe(true);
  await deleteMessage(grace, messageIds[1] ?? '');
  await sweepLoose(sweeping, 100);
  expect(await isInline(content)).toBeNull();
});

test('bytes that are uploaded again while they are being swept are still there afterwards', async () => {
  for (let round = 0; round < rounds(8, 20); round += 1) {
    const content = `again ${round}`;
    const { id } = await upload(server, ada, content);
    await deleteMessage(ada, await say(ada, chatId, 'look', { fileIds: [id] }));
    const [again] = await Promise.all([upload(server, grace, content), sweepLoose(sweeping, 10)]);
    expect(await (await download(server, again.url)).text()).toBe(content);
  }
});

test('a picture’s thumbnails are in the database too, and everyone who sees the picture can load them', async () => {
  const picture = sharp({ create: { width: 300, height: 200, channels: 3, background: 'red' } }).png();
  const { id } = await upload(server, ada, new Uint8Array(await picture.toBuffer()), 'red.png');
  await say(ada, chatId, '', { fileIds: [id] });
  const { node } = await grace.ask(
    'query ($id: ID!) { node(id: $id) { ... on File { small: thumbnailUrl(size: SMALL) large: thumbnailUrl(size: LARGE) } } }',
    { id },
  );
  for (const [url, width] of [
    [node.small, 160],
    [node.large, 300],
  ] as const) {
    const answer = await download(otherMachine, url);
    expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'image/webp']);
    expect((await sharp(await answer.arrayBuffer()).metadata()).width).toBe(width);
  }
});

test('bytes in the file store that arrive again at a node that keeps small files inline are stored once', async () => {
  const content = 'from before';
  const first = await upload(storing, ada, content);
  expect([await isInline(content), await isStored(content)]).toEqual([false, true]);
  await upload(server, grace, content);
  expect(await isInline(content)).toBe(true);
  await comparePrefix(sweeping, hashOf(content).slice(0, 2));
  expect(await isStored(content)).toBe(false);
  expect(await (await download(storing, first.url)).text()).toBe(content);
  await upload(storing, ada, content);
  await comparePrefix(sweeping, hashOf(content).slice(0, 2));
  expect([await isInline(content), await isStored(content)]).toEqual([true, false]);
  expect(await (await download(server, first.url)).text()).toBe(content);
});

test('the store is not read for files that the database has', async () => {
  const { kept } = await countStored(server);
  const content = 'not missed';
  const { url } = await upload(server, ada, content);
  expect((await countStored(server)).kept).toBe(kept + 1);
  expect(await comparePrefix(sweeping, hashOf(content).slice(0, 2))).toBe(0);
  expect(await (await download(server, url)).text()).toBe(content);
});

test.each([
  ['under another hash', `decode(repeat('ab', 32), 'hex'), 3, 'abc'`],
  ['with a size that is too large', `sha256('abc'), 4, 'abc'`],
  [
    'when there are too many',
    `sha256(convert_to(repeat('x', 65537), 'UTF8')), 65537, convert_to(repeat('x', 65537), 'UTF8')`,
  ],
])('the database accepts no bytes %s', async (_, values) => {
  const adding = server.sql.query(`insert into blobs (hash, size, bytes, content_type) select ${values}, 'text/plain'`);
  await expect(adding).rejects.toMatchObject({ code: '23514', constraint: 'inline_bytes_are_few_and_their_own' });
});

test('the sweep of a node with an older version does not treat inline bytes as missing, so their files are not lost', async () => {
  const content = 'not where it looks';
  await upload(server, ada, content);
  const noting = server.sql.query(`update blobs set missing_since = now() where hash = decode($1, 'hex')`, [
    hashOf(content),
  ]);
  await expect(noting).rejects.toMatchObject({ code: '23514', constraint: 'what_is_here_is_not_missing' });
});

test('when the database’s disk is full an upload says so, nothing is lost, and the server keeps working', async () => {
  const { url } = await upload(server, ada, 'there was room');
  const before = await countStored(server);
  await server.sql.query(`
    create function fill() returns trigger language plpgsql as $$
      begin raise exception 'could not extend file: No space left on device' using errcode = 'disk_full'; end $$;
    create trigger fill before insert on blobs execute function fill()`);
  const refused = await postFiles(server, ada, [{ name: 'a.txt', content: 'one too many' }]);
  expect(refused).toMatchObject({ status: 507, body: { error: expect.stringContaining('no room') } });
  const { body } = await postGraphqlForm(server, ada);
  expect(body.errors).toMatchObject([{ message: expect.stringContaining('no room') }]);
  await server.sql.query('drop function fill cascade');
  expect(await countStored(server)).toEqual(before);
  // Each of the two ways to upload logs one line.
  const told = server.log.filter(({ msg }) => msg === 'a disk is full: an upload was refused');
  expect(told.map(({ level }) => level)).toEqual(['error', 'error']);
  expect(await (await download(server, url)).text()).toBe('there was room');
  await upload(server, ada, 'one too many');
});

test('files that the database stored before its response was lost are not added again', async () => {
  const { url } = server.database;
  const proxy = await openProxy(url);
  const env = { DATABASE_URL: proxy.through(url), DATABASE_DIRECT_URL: url };
  const node = await startServer({ database: server.database, env });
  const hedy = await signUp(server, 'hedy');
  await upload(node, hedy, 'before');
  const answer = proxy.hold('only once');
  const sent = postFiles(node, hedy, [{ name: 'a.txt', content: 'only once' }]);
  await answer.caught;
  // Only the answer to that statement is lost. If other answers were lost as well, the node might retry because of the
  // other answers.
  await server.sql.query(
    `select pg_terminate_backend(pid) from pg_stat_activity
    where datname = current_database() and query like '%add_files%' and state = 'idle' and pid <> pg_backend_pid()
    order by state_change desc limit 1`,
  );
  expect((await sent).status).toBe(500);
  const { rowCount } = await server.sql.query('select from files where uploader_id = $1', [keyOf(hedy.userId)]);
  expect(rowCount).toBe(2);
  await upload(node, hedy, 'after');
});

test('when users upload at the same time, on every node, each can use up their quota and not a byte more', async () => {
  const env = { USER_QUOTA_BYTES: '4000' };
  const nodes = await Promise.all(
    [server, otherMachine, storing].map(({ dataDir }, index) =>
      startServer({
        database: server.database,
        env: { ...env, DATA_DIR: dataDir, ...(index === 2 && nothingInline) },
      }),
    ),
  );
  const people = await Promise.all(['linus', 'margaret', 'barbara', 'edsger'].map((name) => signUp(server, name)));
  const sent = await Promise.all(
    people.flatMap((by) =>
      Array.from({ length: 30 }, async (_, index) => {
        const node = nodes[index % nodes.length] ?? server;
        const files = Array.from({ length: 1 + (index % 3) }, () => new Uint8Array(randomBytes(100 + index)));
        const { status, body } = await postFiles(
          node,
          by,
          files.map((content) => ({ name: 'x', content })),
        );
        return { by, status, ids: status === 201 ? body.files.map(({ id }: { id: string }) => keyOf(id)) : [] };
      }),
    ),
  );
  expect(new Set(sent.map(({ status }) => status))).toEqual(new Set([201, 413]));
  for (const by of people) {
    const acknowledged = sent.filter((each) => each.by === by).flatMap(({ ids }) => ids);
    const { rows } = await server.sql.query<{ id: string; size: number }>(
      'select f.id::text, b.size::int from files f join blobs b on b.hash = f.blob_hash where f.uploader_id = $1',
      [keyOf(by.userId)],
    );
    expect(new Set(rows.map(({ id }) => id))).toEqual(new Set(acknowledged));
    expect(rows).toHaveLength(acknowledged.length);
    const bytes = rows.reduce((sum, { size }) => sum + size, 0);
    // The remaining space is too small for the largest request.
    expect(bytes).toBeLessThanOrEqual(4_000);
    expect(bytes).toBeGreaterThan(4_000 - 3 * 130);
  }
});

test('uploads in progress take little memory, even if they are very small', async () => {
  const store = storeSmallInline(sweeping.store, 16_384, 40_000);
  async function* source(content: Uint8Array) {
    yield content.subarray(0, 1_000);
    yield content.subarray(1_000);
  }
  const contents = Array.from({ length: 4 }, () => randomBytes(16_384));
  const stageAll = () => Promise.all(contents.map((content) => store.stage(source(Buffer.from(content)))));
  const staged = await stageAll();
  expect(staged.map(({ hash }) => hash)).toEqual(contents.map(hashOf));
  expect(staged.map(({ content }) => typeof content)).toEqual(['object', 'object', 'string', 'string']);
  // Each file is discarded twice, because an upload that fails may discard its files twice.
  for (const each of [...staged, ...staged]) await each.discard();
  const again = await stageAll();
  expect(again.map(({ content }) => typeof content).toSorted()).toEqual(['object', 'object', 'string', 'string']);
  for (const each of again) await each.discard();
  expect((await countStored(server)).incoming).toBe(0);
});

test('the server keeps few objects for a client that sends byte by byte', async () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const pieces: WeakRef<Buffer>[] = [];
  let keptPieces = Number.POSITIVE_INFINITY;
  async function* drip() {
    for (let count = 0; count < 2_000; count += 1) {
      yield dropOf(count);
      // A WeakRef keeps its target alive until the current turn of the event loop ends.
      if (count % 100 === 0) await setImmediate();
    }
    await setImmediate();
    collect();
    keptPieces = pieces.filter((piece) => piece.deref() !== undefined).length;
  }
  function dropOf(count: number): Buffer {
    const piece = Buffer.from([count % 256]);
    pieces.push(new WeakRef(piece));
    return piece;
  }
  const staged = await storeSmallInline(sweeping.store, 16_384).stage(drip());
  expect(keptPieces).toBeLessThan(200);
  expect(staged.content).toEqual(Buffer.from(Array.from({ length: 2_000 }, (_, count) => count % 256)));
  await staged.discard();
});

test('an upload waits while another request adds files of the same user, and no other user waits', async () => {
  const other = await server.sql.connect();
  await other.query('begin');
  await other.query(`select pg_advisory_xact_lock(lock_key('personal storage'), storage_lock($1))`, [
    keyOf(ada.userId),
  ]);
  let isDone = false;
  const waiting = upload(server, ada, 'waits').finally(() => (isDone = true));
  const waits = async () =>
    (
      await server.sql.query(
        `select from pg_locks where locktype = 'advisory' and classid = lock_key('personal storage') and not granted`,
      )
    ).rowCount;
  await expect.poll(waits).toBe(1);
  await upload(server, grace, 'does not wait');
  expect(isDone).toBe(false);
  await other.query('commit');
  other.release();
  expect(await (await download(server, (await waiting).url)).text()).toBe('waits');
});
