import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { chooseEncoding } from './accept.ts';
import { matchesEtag } from './etag.ts';
import type { Handler } from './respond.ts';

/** How long a cache may use a page without revalidating it, in seconds. */
const maxAgeSeconds = 300;

/**
 * Serves the same text to everyone. The text does not change while the server runs. The text is compressed once, at
 * startup. A client that already has the text gets a 304. `type` is the media type.
 */
export function serveText(type: string, text: string): Handler {
  const plain = Buffer.from(text);
  const gzipped = gzipSync(plain);
  // The ETag is weak because the same text is sent in two encodings.
  const etag = `W/"${createHash('sha256').update(plain).digest('base64url')}"`;
  return (request, response) => {
    response.setHeader('etag', etag);
    response.setHeader('cache-control', `public, max-age=${maxAgeSeconds}`);
    response.appendHeader('vary', 'accept-encoding');
    if (matchesEtag(request.headers['if-none-match'], etag)) {
      response.writeHead(304).end();
      return;
    }
    const isGzipped = chooseEncoding(request.headers['accept-encoding'], ['gzip']) !== null;
    const body = isGzipped ? gzipped : plain;
    if (isGzipped) response.setHeader('content-encoding', 'gzip');
    response.writeHead(200, { 'content-type': `${type}; charset=utf-8`, 'content-length': body.length }).end(body);
  };
}
