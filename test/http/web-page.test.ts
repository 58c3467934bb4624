import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { startServer } from '../support/server.ts';
import { sharedServer } from '../support/shared-server.ts';

const server = await sharedServer();
const built = join(import.meta.dirname, '../../src/web/generated');

/** Returns the addresses of the scripts that a page names. */
function scriptsIn(page: string): string[] {
  return [...page.matchAll(/<script[^>]* src="([^"]+)"/g)].map(([, address = '']) => address);
}

test('a browser gets the chat at /, with its styles, after one round trip', async () => {
  const response = await fetch(server.url);
  expect(response.status).toBe(200);
  expect(response.headers.get('content-type')).toBe('text/html; charset=utf-8');
  expect(response.headers.get('cache-control')).toBe('no-cache');
  const page = await response.text();
  expect(page).toMatch(/<style>.*--canvas.*<\/style>/s);
  expect(page).toContain('class="splash"');
  expect(page).not.toMatch(/<link[^>]*stylesheet/);
  // The first window of a new TCP connection (RFC 6928) holds about 14 KB.
  expect((await stat(join(built, 'index.html.gz'))).size).toBeLessThan(14_000);
});

test.each(['/verify-email', '/reset-password'])('the page is also at %s, where links in emails lead', async (path) => {
  const [page, root] = await Promise.all([fetch(server.url + path), fetch(server.url)]);
  expect(page.headers.get('referrer-policy')).toBe('no-referrer');
  expect(await page.text()).toBe(await root.text());
});

test('the policy of the page allows no script but its own files, and no styles but those that it has', async () => {
  const response = await fetch(server.url);
  const policy = response.headers.get('content-security-policy') ?? '';
  expect(policy).toContain("default-src 'none'");
  expect(policy).toContain("script-src 'self';");
  expect(policy).toMatch(/style-src 'self' 'sha256-[^']+';/);
  expect(policy).toContain("img-src 'self' blob: data:;");
  expect(policy).not.toMatch(/unsafe|https?:|\*/);
  expect(await response.text()).not.toMatch(/<script(?![^>]* src=)| on\w+=/);
});

test.each(['br', 'gzip', 'identity'])('scripts come as %s and stay in the cache', async (encoding) => {
  const [script = ''] = scriptsIn(await (await fetch(server.url)).text());
  expect(script).toMatch(/^\/assets\/[\w-]+\.js$/);
  const response = await fetch(server.url + script, { headers: { 'accept-encoding': encoding } });
  expect(response.status).toBe(200);
  expect(response.headers.get('content-type')).toBe('text/javascript; charset=utf-8');
  expect(response.headers.get('content-encoding')).toBe(encoding === 'identity' ? null : encoding);
  expect(response.headers.get('cache-control')).toBe('public, max-age=31536000, immutable');
  expect(await response.text()).toContain('parley');
});

test('a browser that refuses an encoding gets another one', async () => {
  const [script = ''] = scriptsIn(await (await fetch(server.url)).text());
  const headers = { 'accept-encoding': 'br;q=0, GZIP;q=0.5' };
  expect((await fetch(server.url + script, { headers })).headers.get('content-encoding')).toBe('gzip');
});

test('a browser that has the page does not receive it again', async () => {
  const first = await fetch(server.url);
  // A proxy may pass the tag on in a list, and without the prefix of a weak tag.
  const headers = { 'if-none-match': `"another", ${first.headers.get('etag')?.replace('W/', '')}` };
  const again = await fetch(server.url, { headers });
  expect(again.status).toBe(304);
  expect(again.headers.get('content-security-policy')).toBe(first.headers.get('content-security-policy'));
});

test('the page begins with the theme that the user has chosen', async () => {
  const open = async (cookie: string) => {
    const response = await fetch(server.url, { headers: { cookie, 'accept-encoding': 'br' } });
    expect(response.headers.get('vary')).toContain('cookie');
    return { start: (await response.text()).slice(0, 80), etag: response.headers.get('etag') };
  };
  const [dark, light, other] = await Promise.all([
    open('a=b; parley-theme=dark'),
    open('parley-theme=light; a=b'),
    open('parley-theme=system'),
  ]);
  expect(dark.start).toContain('<html data-theme="dark" lang="en">');
  expect(light.start).toContain('<html data-theme="light" lang="en">');
  expect(other.start).toContain('<html lang="en">');
  expect(new Set([dark.etag, light.etag, other.etag]).size).toBe(3);
});

test('the page takes at most 150 KB compressed, with everything that it loads later', async () => {
  const files = await readdir(built, { recursive: true });
  // A browser loads only one of the three pages.
  const names = files.filter((name) => name.endsWith('.gz') && !/^(light|dark)\.html/.test(name));
  const sizes = await Promise.all(names.map(async (name) => (await stat(join(built, name))).size));
  expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThanOrEqual(150 * 1_024);
});

test('WEB_PAGE=off removes the page', async () => {
  await using without = await startServer({ env: { WEB_PAGE: 'off' } });
  expect((await fetch(without.url)).status).toBe(404);
});

test('a node that serves only streams has no page', async () => {
  await using streams = await startServer({ env: { SERVE: 'streams' } });
  expect((await fetch(streams.url)).status).toBe(404);
});

test('the Vary header names what the answer depends on, including the origin if CORS does, even for an unchanged answer', async () => {
  const own = await startServer({ env: { CORS_ORIGIN: 'https://one.example,https://two.example' } });
  const first = await fetch(own.url);
  const again = await fetch(own.url, { headers: { 'if-none-match': first.headers.get('etag') ?? '' } });
  expect([first.status, again.status]).toEqual([200, 304]);
  for (const { headers } of [first, again]) expect(headers.get('vary')).toBe('origin, cookie, accept-encoding');
});
