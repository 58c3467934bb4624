import { renderGraphiQL } from '@graphql-yoga/render-graphiql';
import { createHash } from 'node:crypto';
import type { GraphiQLOptions } from 'graphql-yoga';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { createGunzip, gzip } from 'node:zlib';
import { chooseEncoding } from './accept.ts';
import { matchesEtag } from './etag.ts';
import type { Handler } from './respond.ts';

/**
 * The page contains everything that it needs, so it is not allowed to load anything from elsewhere, and may connect
 * only to this server.
 */
const contentSecurityPolicy = [
  "default-src 'none'",
  "script-src 'unsafe-inline' 'unsafe-eval' blob:",
  "style-src 'unsafe-inline'",
  'worker-src blob:',
  'font-src data:',
  'img-src data:',
  "connect-src 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join('; ');

type Page = { gzipped: Buffer; etag: string };

/**
 * Serves GraphiQL. The page is 9 MB, so it is rendered and compressed only once, and a browser that already has it gets
 * a 304. `script` runs in the page before all other scripts.
 */
export function serveGraphiql(options: GraphiQLOptions, script: () => void): Handler {
  let page: Promise<Page> | undefined;
  return async (request, response) => {
    const { gzipped, etag } = await (page ??= renderPage(options, script));
    response.setHeader('etag', etag);
    response.setHeader('cache-control', 'no-cache');
    response.setHeader('content-security-policy', contentSecurityPolicy);
    response.appendHeader('vary', 'accept, accept-encoding');
    if (matchesEtag(request.headers['if-none-match'], etag)) {
      response.writeHead(304).end();
      return;
    }
    response.setHeader('content-type', 'text/html; charset=utf-8');
    if (chooseEncoding(request.headers['accept-encoding'], ['gzip']) !== null) {
      response.writeHead(200, { 'content-encoding': 'gzip', 'content-length': gzipped.length }).end(gzipped);
    } else {
      await pipeline(Readable.from([gzipped]), createGunzip(), response);
    }
  };
}

/**
 * When a tab receives the focus, GraphiQL moves the tab to the position that it had before the other tabs existed, so
 * the first click on the tab would miss it.
 */
const steadyTabs = '<style>.graphiql-tab { transform: none !important }</style>';

async function renderPage(options: GraphiQLOptions, script: () => void): Promise<Page> {
  const head = `${steadyTabs}<script>(${script.toString()})()</script></head>`;
  // The replacement is a function because a `$` in the script would have a special meaning in a replacement string.
  const gzipped = await promisify(gzip)(renderGraphiQL(options).replace('</head>', () => head));
  return { gzipped, etag: `"${createHash('sha256').update(gzipped).digest('base64url')}"` };
}
