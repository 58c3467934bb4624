import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { extname, join } from 'node:path';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { chooseEncoding } from './accept.ts';
import { matchesEtag } from './etag.ts';
import type { Handler } from './respond.ts';

const types: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
};

/** The encodings in which each file is built, smallest first, and their file suffixes. */
const suffixes = { br: '.br', gzip: '.gz' } as const;
const encodings = ['br', 'gzip'] as const;

/**
 * The paths that serve the page: `/` and the paths that links in emails lead to; the page itself reads the URL that it
 * was opened with.
 */
const paths = ['/', '/verify-email', '/reset-password'];

/** The folder with the page's scripts, whose names change with their contents. */
const assets = 'assets';

/**
 * Serves the chat page that `npm run web` built into the folder, at `/` and at the paths that links in emails lead to.
 * Also serves the scripts of the page. Returns the handlers by path. `pictureOrigins`: the origins, besides this
 * server, that links to files point to.
 */
export function serveWebPage(folder: string, pictureOrigins: readonly string[] = []): Record<string, Handler> {
  if (!existsSync(folder)) return { '/': notBuilt };
  const names = readdirSync(join(folder, assets)).filter(
    (name) => !encodings.some((each) => name.endsWith(suffixes[each])),
  );
  const page = servePage(folder, pictureOrigins);
  return {
    ...Object.fromEntries(paths.map((path) => [path, page])),
    ...Object.fromEntries(names.map((name) => [`/${assets}/${name}`, serveAsset(join(folder, assets, name))])),
  };
}

/**
 * Browsers revalidate the page each time, because it names the current scripts. A cookie says which theme the user has
 * chosen, because a script could change the colours only after the browser's first paint.
 */
function servePage(folder: string, pictureOrigins: readonly string[]): Handler {
  const pages = Object.fromEntries(
    ['index', 'light', 'dark'].map((name) => {
      const path = join(folder, `${name}.html`);
      const html = readFileSync(path, 'utf8');
      return [name, { path, policy: policyOf(html, pictureOrigins), etag: `W/"${hashOf(html)}"` }];
    }),
  );
  return async (request, response) => {
    const { path = '', policy = '', etag = '' } = pages[themeIn(request.headers.cookie) ?? 'index'] ?? {};
    response.setHeader('content-security-policy', policy);
    response.setHeader('referrer-policy', 'no-referrer');
    response.setHeader('cache-control', 'no-cache');
    response.appendHeader('vary', 'cookie').appendHeader('vary', 'accept-encoding');
    response.setHeader('etag', etag);
    if (matchesEtag(request.headers['if-none-match'], etag)) response.writeHead(304).end();
    else await sendFile(path, request, response);
  };
}

function themeIn(cookies = ''): string | undefined {
  return /(?:^|; *)parley-theme=(light|dark)(?:;|$)/.exec(cookies)?.[1];
}

function serveAsset(path: string): Handler {
  return async (request, response) => {
    response.setHeader('cache-control', 'public, max-age=31536000, immutable');
    response.appendHeader('vary', 'accept-encoding');
    await sendFile(path, request, response);
  };
}

async function sendFile(path: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const encoding = chooseEncoding(request.headers['accept-encoding'], encodings);
  const body = await readFile(`${path}${encoding === null ? '' : suffixes[encoding]}`);
  if (encoding !== null) response.setHeader('content-encoding', encoding);
  const type = types[extname(path)] ?? 'application/octet-stream';
  response.writeHead(200, { 'content-type': type, 'content-length': body.length }).end(body);
}

/**
 * The page may load scripts from this server only, and may not run inline scripts. Its styles are inline, and the
 * policy allows them by their hashes (CSP Level 3, 2.3.1).
 */
function policyOf(html: string, pictureOrigins: readonly string[]): string {
  const styles = [...html.matchAll(/<style>([^]*?)<\/style>/g)].map(([, style = '']) => `'sha256-${hashOf(style)}'`);
  const pictures = ["'self'", 'blob:', 'data:', ...pictureOrigins].join(' ');
  return [
    "default-src 'none'",
    "script-src 'self'",
    `style-src 'self' ${styles.join(' ')}`,
    `img-src ${pictures}`,
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
  ].join('; ');
}

function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('base64');
}

const notBuilt: Handler = (_, response) => {
  const text =
    'The chat page has not been built. Run `npm run web`; WEB_PAGE=off removes this page. The API is at /graphql.\n';
  response.writeHead(404, { 'content-type': 'text/plain; charset=utf-8' }).end(text);
};
