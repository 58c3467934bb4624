import { once } from 'node:events';
import { request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, expect, test } from 'vitest';
import { signUp, type Data, type Person } from '../support/client.ts';
import {
  countStored,
  download,
  formOf,
  largeForm,
  nothingInline,
  postFiles,
  postPieces,
  upload,
} from '../support/file.ts';
import { runServer } from '../support/server-process.ts';
import { racing, startServer, type TestServer } from '../support/server.ts';

let server: TestServer;
let ada: Person;
beforeAll(async () => {
  server = await startServer({ env: { MAX_UPLOAD_BYTES: '1000000', USER_QUOTA_BYTES: '100000000', ...racing } });
  ada = await signUp(server, 'ada');
});

const stateOf = async (of: TestServer) => ({
  rows: (await of.sql.query('select count(*)::int as count from files')).rows[0].count,
  ...(await countStored(of)),
});

/** Sends a body that the server must refuse, and checks that no part of the body remains. */
async function refusalOf(body: string | Uint8Array, headers: Record<string, string> = {}) {
  const before = await stateOf(server);
  const refusal = await postPieces(server.url, ada.token, [Buffer.from(body)], headers);
  expect(refusal.body).toEqual({
    type: expect.stringMatching(/^urn:parley:problem:/),
    title: expect.any(String),
    status: refusal.status,
    code: expect.any(String),
    detail: expect.any(String),
    error: refusal.body.detail,
  });
  expect(await stateOf(server)).toEqual(before);
  return { status: refusal.status, error: String(refusal.body.error) };
}

const field = (name: string, value: string) =>
  `--b\r\ncontent-disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`;
const file = (content: string, disposition = 'form-data; name="f"; filename="a.txt"') =>
  `--b\r\ncontent-disposition: ${disposition}\r\n\r\n${content}\r\n`;
const end = '--b--\r\n';

test('a complete form is accepted, so the forms below are refused only for their errors', async () => {
  const form = field('note', 'not a file') + file('hello') + end;
  expect(await postPieces(server.url, ada.token, [Buffer.from(form)])).toMatchObject({ status: 201 });
});

test.each([
  ['no part', end, 'The form contains no file.'],
  ['fields but no file', field('note', 'hello') + end, 'The form contains no file.'],
  ['a part without a name', file('hello', 'form-data; filename="a.txt"') + end, 'A part has no name.'],
  ['a part that is not form data', file('hello', 'attachment; name="f"; filename="a"') + end, 'A part has no name.'],
  ['a part without headers', `--b\r\n\r\nhello\r\n${end}`, 'The body ends before the form does.'],
  [
    'headers without an end',
    `--b\r\ncontent-disposition: form-data; x="${'x'.repeat(40_000)}`,
    'headers of a part are too long',
  ],
  ['eleven files', file('hello').repeat(11) + end, 'at most 10 files'],
  ['a hundred and one fields', field('a', 'b').repeat(101) + end, 'more than 100 parts'],
  ['a file without an end', file('hello'), 'The body ends before the form does.'],
  ['half a boundary at its end', `${file('hello')}--`, 'The body ends before the form does.'],
  ['a boundary with text after it', `${file('hello')}--bc\r\n`, 'A boundary must be followed by a line break.'],
  ['nothing at all', '', 'The body ends before the form does.'],
  ['something else', '{"file": "hello"}', 'The body ends before the form does.'],
])('a form with %s is refused', async (_, body, message) => {
  const { status, error } = await refusalOf(body);
  expect(status).toBe(400);
  expect(error).toContain(message);
});

test.each([
  'application/json',
  'multipart/form-data',
  'multipart/form-data; boundary=',
  `multipart/form-data; boundary=${'b'.repeat(71)}`,
  'multipart/mixed; boundary=b',
  'text/plain',
])('a body of type %s is refused', async (contentType) => {
  expect(await refusalOf(formOf(Buffer.from('hello')), { 'content-type': contentType })).toMatchObject({ status: 400 });
});

test('uploads must use POST', async () => {
  const response = await fetch(`${server.url}/api/upload`, { headers: { authorization: `Bearer ${ada.token}` } });
  expect(response.status).toBe(405);
  expect(response.headers.get('allow')).toBe('POST');
});

test('a file over the limit is refused while it streams', async () => {
  expect((await postPieces(server.url, ada.token, largeForm(1_000_000))).status).toBe(201);
  const before = await stateOf(server);
  const just = await postPieces(server.url, ada.token, largeForm(1_000_001));
  expect(just).toMatchObject({ status: 413, body: { error: 'A file may be at most 1000000 bytes long.' } });
  const size = 200_000_000;
  const huge = await postPieces(server.url, ada.token, largeForm(size));
  expect(huge.status).toBe(413);
  expect(huge.sent).toBeLessThan(size / 2);
  expect(await stateOf(server)).toEqual(before);
});

test('when one file of several is refused, none is stored', async () => {
  const before = await stateOf(server);
  const { status } = await postFiles(server, ada, [
    { name: 'good.txt', content: 'good' },
    { name: 'large.bin', content: new Uint8Array(1_000_001) },
  ]);
  expect(status).toBe(413);
  expect(await stateOf(server)).toEqual(before);
});

test('when one of several files turns out to be bad only at its end, none is stored either', async () => {
  const before = await stateOf(server);
  const jpeg = '\xff\xd8\xff\xe0 and no picture';
  const { status } = await postFiles(server, ada, [
    { name: 'good.txt', content: 'good' },
    { name: 'broken.jpg', content: new Uint8Array(Buffer.from(jpeg, 'latin1')) },
  ]);
  expect(status).toBe(400);
  await using small = await startServer({ env: { USER_QUOTA_BYTES: '1000' } });
  const grace = await signUp(small, 'grace');
  const each = (count: number) =>
    Array.from({ length: count }, (_, index) => ({ name: 'x', content: `${index}`.repeat(400) }));
  const [fitting, tooMany] = await Promise.all([postFiles(small, grace, each(1)), postFiles(small, grace, each(3))]);
  expect([fitting.status, tooMany.status]).toEqual([201, 413]);
  expect(await stateOf(small)).toEqual({ rows: 1, kept: 1, incoming: 0 });
  expect(await stateOf(server)).toEqual(before);
});

test('a user’s quota counts everything that they have stored, except what they have deleted', async () => {
  await using small = await startServer({ env: { USER_QUOTA_BYTES: '1000' } });
  const [grace, linus] = await Promise.all([signUp(small, 'grace'), signUp(small, 'linus')]);
  await upload(small, grace, 'x'.repeat(600));
  const over = await postFiles(small, grace, [{ name: 'b', content: 'y'.repeat(500) }]);
  expect(over).toMatchObject({ status: 413, body: { error: expect.stringContaining('1000 bytes') } });
  const twice = await postFiles(small, grace, [{ name: 'c', content: 'x'.repeat(600) }]);
  expect(twice.status).toBe(413);
  await upload(small, grace, 'y'.repeat(400));
  await upload(small, linus, 'y'.repeat(1_000));
  await small.sql.query('delete from files where message_id is null');
  await upload(small, grace, 'z'.repeat(1_000));
});

test('of concurrent uploads that together exceed the quota, only as many are accepted as fit', async () => {
  await using small = await startServer({ env: { USER_QUOTA_BYTES: '1000' } });
  const grace = await signUp(small, 'grace');
  const sent = await Promise.all(
    Array.from({ length: 6 }, (_, index) => postFiles(small, grace, [{ name: 'x', content: `${index}`.repeat(400) }])),
  );
  expect(sent.map(({ status }) => status).toSorted((one, other) => one - other)).toEqual([
    201, 201, 413, 413, 413, 413,
  ]);
  expect(await stateOf(small)).toEqual({ rows: 2, kept: 2, incoming: 0 });
});

test('an aborted upload leaves nothing behind', async () => {
  const before = await stateOf(server);
  const outgoing = request(`${server.url}/api/upload`, {
    method: 'POST',
    headers: { authorization: `Bearer ${ada.token}`, 'content-type': 'multipart/form-data; boundary=b' },
  });
  outgoing.on('error', () => {});
  outgoing.write(formOf(Buffer.alloc(500_000)).subarray(0, 300_000));
  await expect.poll(async () => (await countStored(server)).incoming).toBe(1);
  outgoing.destroy();
  await expect.poll(() => stateOf(server)).toEqual(before);
  expect(server.log.filter(({ level }) => level === 'error')).toEqual([]);
});

test('an upload that stalls or is too slow is cut off, and leaves nothing behind; a steady one may take a long time', async () => {
  await using node = await startServer({
    database: server.database,
    env: nothingInline,
    overrides: { uploadIdleMs: 2_500 },
  });
  const before = await stateOf(server);
  const begin = (path: string, head: string) => {
    const outgoing = request(`${node.url}${path}`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${ada.token}`,
        'content-type': 'multipart/form-data; boundary=b',
        'graphql-require-preflight': '1',
      },
    });
    const ended = once(outgoing, 'error').then(([error]) => String(error));
    outgoing.write(head);
    return { outgoing, ended };
  };
  const head = formOf(Buffer.alloc(0)).subarray(0, -'\r\n--b--\r\n'.length).toString();
  const stalled = [begin('/api/upload', `${head}some`), begin('/api/upload', '--b'), begin('/graphql', '--b')];
  const trickling = begin('/api/upload', head);
  const drip = setInterval(() => trickling.outgoing.write('x'), 20);
  await expect.poll(async () => (await countStored(server)).incoming, { interval: 10 }).toBe(2);
  for (const { ended } of [...stalled, trickling]) expect(await ended).toMatch(/hang up|ECONNRESET/);
  clearInterval(drip);
  await expect.poll(() => stateOf(server)).toEqual(before);

  async function* steadily() {
    yield Buffer.from(head);
    for (let count = 0; count < 35; count += 1) {
      await sleep(100);
      yield Buffer.alloc(1_000, 'x');
    }
    yield Buffer.from('\r\n--b--\r\n');
  }
  expect(await postPieces(node.url, ada.token, steadily())).toMatchObject({ status: 201 });
  expect(node.log.filter(({ level }) => level === 'error')).toEqual([]);
});

test('the type of a file comes from its bytes, not from its uploader', async () => {
  const png = Buffer.from(
    'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGNgYGBgAAAABQABpfZFQAAAAABJRU5ErkJggg==',
    'base64',
  );
  const sent: [string, string | Uint8Array<ArrayBuffer>, string, string][] = [
    ['page.html', png, 'text/html', 'image/png'],
    ['picture.png', '<script>alert(1)</script>', 'image/png', 'text/plain'],
    ['program.exe', new Uint8Array([1, 0, 255, 254]), 'image/jpeg', 'application/octet-stream'],
    ['text.txt', 'é'.repeat(5_000), 'application/pdf', 'text/plain'],
  ];
  for (const [name, content, type, told] of sent) {
    const { body } = await postFiles(server, ada, [{ name, content, type }]);
    expect(body.files[0]).toMatchObject({ name, contentType: told });
  }
});

async function nameOf(disposition: string): Promise<string> {
  const body = Buffer.from(file('hello', `form-data; name="f"; ${disposition}`) + end);
  const { body: answer } = (await postPieces(server.url, ada.token, [body])) as { body: Data };
  const [taken] = answer.files;
  expect(await (await download(server, taken.url)).text()).toBe('hello');
  return taken.name;
}

test.each([
  ['filename="../../etc/passwd"', 'passwd'],
  [String.raw`filename="C:\\Users\\ada\\notes.txt"`, 'notes.txt'],
  ['filename="/"', 'file'],
  ['filename=".."', 'file'],
  ['filename=""', 'file'],
  ['filename="  "', 'file'],
  ['filename="a\u0000b\u0001.txt"', 'ab.txt'],
  ['filename="a%22b.txt"', 'a"b.txt'],
  [String.raw`filename="a\"b.txt"`, 'a"b.txt'],
  ['filename="\u202Etxt.exe"', 'txt.exe'],
  ['filename="記録😀.txt"', '記録😀.txt'],
  [`filename="x.txt"; filename*=UTF-8''na%C3%AFve.txt`, 'naïve.txt'],
  [`filename*=UTF-8''%E0%A4%A`, '%E0%A4%A'],
  ['filename=plain.txt', 'plain.txt'],
  [`filename="${'x'.repeat(10_000)}.txt"`, `${'x'.repeat(251)}.txt`],
  [`filename="${'😀'.repeat(3_000)}"`, '😀'.repeat(255)],
])('a file that arrives with %s is named %s', async (disposition, name) => {
  expect(await nameOf(disposition)).toBe(name);
});

test('on a full disk an upload gets 507, nothing is lost, and the server keeps working', async () => {
  // `ulimit` limits the size of every file that the process writes. Beyond that limit, the system refuses writes, as it
  // does when a disk is full.
  const full = runServer({ DATABASE_URL: server.database.url, DATA_DIR: server.dataDir, JWT_KEYS: server.jwtKeys }, [
    '/bin/bash',
    '-c',
    `ulimit -f 512 && exec "${process.execPath}" src/main.ts`,
  ]);
  const url = await full.url;
  const before = await stateOf(server);
  const refused = await postPieces(url, ada.token, largeForm(2_000_000));
  expect(refused).toMatchObject({ status: 507, body: { error: expect.stringContaining('no room') } });
  expect(await stateOf(server)).toEqual(before);
  const taken = await postPieces(url, ada.token, [formOf(Buffer.from('small enough'))]);
  expect(taken.status).toBe(201);
  expect(await (await fetch(new URL(taken.body.files[0].url, url))).text()).toBe('small enough');
}, 60_000);
