import { beforeAll, expect, test } from 'vitest';
import { createGroup, removeMember, say } from '../support/chat.ts';
import { signUp, type Person } from '../support/client.ts';
import { download, nothingInline, readFileNode, upload } from '../support/file.ts';
import { locationOf, startS3, type S3 } from '../support/s3.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { atFileEnd } from '../support/file-end.ts';

let s3: S3;
let server: TestServer;
let ada: Person;
let grace: Person;
beforeAll(async () => {
  s3 = await startS3();
  server = await startServer({ env: { FILE_STORE: locationOf(s3), FILE_SERVING: 'redirect', ...nothingInline } });
  [ada, grace] = await Promise.all([signUp(server, 'ada'), signUp(server, 'grace')]);
});
atFileEnd(() => s3.remove());

const content = 'The Analytical Engine weaves algebraic patterns';
const png = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGNgYGBgAAAABQABpfZFQAAAAABJRU5ErkJggg==',
  'base64',
);

async function share(name: string, bytes: Parameters<typeof upload>[2] = content) {
  const chatId = await createGroup(ada, [grace]);
  const { id } = await upload(server, ada, bytes, name);
  await say(ada, chatId, 'look', { fileIds: [id] });
  return { chatId, url: (await readFileNode(grace, id)).url };
}

/** Returns the answer to a GET request, without following a redirect. */
const ask = (url: string, init: RequestInit = {}) => download(server, url, { redirect: 'manual', ...init });

test('a link redirects to a link of the bucket, and the redirect must not be cached', async () => {
  const { url } = await share('engine.txt');
  const response = await ask(url);
  expect(response.status).toBe(302);
  expect(response.headers.get('cache-control')).toBe('no-store');
  expect(response.headers.get('access-control-allow-origin')).toBe('*');
  expect(response.headers.has('content-disposition')).toBe(false);
  const location = new URL(response.headers.get('location') ?? '');
  expect(location.origin).toBe(s3.url);
  expect(Number(location.searchParams.get('X-Amz-Expires'))).toBe(600);
  expect(await (await fetch(location)).text()).toBe(content);
  // A second redirect shortly afterwards leads to the same link, so that the browser can use its cache, unless a new
  // time step has begun.
  const next = new URL((await ask(url)).headers.get('location') ?? '');
  const isOneStep = next.searchParams.get('X-Amz-Date') === location.searchParams.get('X-Amz-Date');
  expect(isOneStep ? next.href : location.href).toBe(location.href);
});

test('a small file comes from the server itself', async () => {
  await using inline = await startServer({
    database: server.database,
    env: { FILE_STORE: locationOf(s3), FILE_SERVING: 'redirect' },
  });
  const { url } = await upload(inline, ada, 'kept inline', 'small.txt');
  for (const node of [inline, server]) {
    const response = await download(node, url, { redirect: 'manual' });
    expect([response.status, await response.text()]).toEqual([200, 'kept inline']);
    expect(response.headers.get('x-content-type-options')).toBe('nosniff');
    expect(response.headers.get('content-disposition')).toBe('inline; filename="small.txt"');
  }
});

test.each<[string, Parameters<typeof upload>[2], string, string]>([
  ['dot.png', png, 'image/png', 'inline; filename="dot.png"'],
  ['notes.txt', content, 'application/octet-stream', 'attachment; filename="notes.txt"'],
  ['page.html', '<!doctype html><script>alert(1)</script>', 'application/octet-stream', 'attachment'],
  ['drawing.svg', '<svg xmlns="http://www.w3.org/2000/svg"/>', 'application/octet-stream', 'attachment'],
  ['paper.pdf', '%PDF-1.7\n%âãÏÓ\n', 'application/octet-stream', 'attachment; filename="paper.pdf"'],
  [
    '記録😀 100%.txt',
    content,
    'application/octet-stream',
    `attachment; filename="___ 100_.txt"; filename*=UTF-8''%E8%A8%98%E9%8C%B2%F0%9F%98%80%20100%25.txt`,
  ],
])(
  '%s comes from the bucket with a type that no browser runs, under its name',
  async (name, bytes, type, disposition) => {
    const { url } = await share(name, bytes);
    const { headers, status, url: from } = await download(server, url);
    expect([status, new URL(from).origin]).toEqual([200, s3.url]);
    expect(headers.get('content-type')).toBe(type);
    expect(headers.get('content-disposition')).toContain(disposition);
    expect(headers.get('cache-control')).toBe('private, max-age=600');
  },
);

test('the bucket serves a range, and refuses a link that was changed', async () => {
  const { url } = await share('engine.txt');
  const part = await download(server, url, { headers: { range: 'bytes=4-13' } });
  expect([part.status, await part.text()]).toEqual([206, 'Analytical']);
  const location = (await ask(url)).headers.get('location') ?? '';
  expect((await fetch(location.replace('attachment', 'inline'))).status).toBe(403);
  expect((await fetch(location.replace('X-Amz-Expires=600', 'X-Amz-Expires=6000'))).status).toBe(403);
});

test('a user who may not see the file gets no such link', async () => {
  const { chatId, url } = await share('engine.txt');
  expect((await ask(url.replace('signature=', 'signature=x'))).status).toBe(403);
  expect((await ask(url)).status).toBe(302);
  await removeMember(server, chatId, grace);
  const refused = await ask(url);
  expect([refused.status, refused.headers.get('location')]).toEqual([404, null]);
});

test('the server itself answers HEAD requests, and clients that already have the bytes', async () => {
  const { url } = await share('engine.txt');
  const head = await ask(url, { method: 'HEAD' });
  expect([head.status, head.headers.get('content-length')]).toEqual([200, '47']);
  const etag = head.headers.get('etag') ?? '';
  expect((await ask(url, { headers: { 'if-none-match': etag } })).status).toBe(304);
});

test('clients are sent to the bucket’s public address, even if the server uses another', async () => {
  await using outside = await startServer({
    database: server.database,
    env: {
      FILE_STORE: locationOf(s3, '&public-endpoint=https://files.example.com'),
      FILE_SERVING: 'redirect',
    },
  });
  const { url } = await share('engine.txt');
  const { headers } = await download(outside, url, { redirect: 'manual' });
  expect(headers.get('location')).toMatch(/^https:\/\/files\.example\.com\/parley-files\/[0-9a-f]{2}\/[0-9a-f]{62}\?/);
});
