import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { GraphQLSchema } from 'graphql';
import { apiVersion } from '../../api/feature.ts';
import type { Handler } from '../respond.ts';
import { serveText } from '../text-page.ts';
import { printOpenApi } from './openapi.ts';

/** The page loads everything from this server. Swagger UI sets inline styles, so they must be allowed. */
const contentSecurityPolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

const page = `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>parley: REST API</title>
    <link rel="icon" href="data:,">
    <link rel="stylesheet" href="/api/docs/swagger-ui.css">
  </head>
  <body>
    <div id="reference"></div>
    <script src="/api/docs/swagger-ui.js"></script>
    <script src="/api/docs/start.js"></script>
  </body>
</html>
`;

/**
 * Starts Swagger UI, which shows this server's description of the API. A token that is entered on the page is kept only
 * until the page is reloaded or closed.
 */
const start = `SwaggerUIBundle({
  url: '/api/openapi.json',
  dom_id: '#reference',
  deepLinking: true,
  docExpansion: 'list',
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
  validatorUrl: null,
});
`;

/** Creates the reference of the REST API, which consists of a description for programs and a page that displays it. */
export function describeApi(schema: GraphQLSchema): ReadonlyMap<string, Handler> {
  return new Map([
    ['/api/openapi.json', serve('application/json', () => JSON.stringify(printOpenApi(schema, apiVersion)))],
    ['/api/docs', serve('text/html', () => page)],
    ['/api/docs/start.js', serve('text/javascript', () => start)],
    ['/api/docs/swagger-ui.js', serve('text/javascript', () => read('swagger-ui-bundle.js'))],
    ['/api/docs/swagger-ui.css', serve('text/css', () => read('swagger-ui.css'))],
  ]);
}

/** Reads a file of Swagger UI, which npm has installed. */
function read(name: string): Promise<string> {
  return readFile(fileURLToPath(import.meta.resolve(`swagger-ui-dist/${name}`)), 'utf8');
}

/** Serves a text that is created when it is first requested. */
function serve(type: string, make: () => string | Promise<string>): Handler {
  let made: Promise<Handler> | undefined;
  const prepare = async () => serveText(type, await make());
  return async (request, response) => {
    made ??= prepare();
    // If creating the text failed, the next request tries again.
    made.catch(() => (made = undefined));
    const answer = await made;
    response.setHeader('content-security-policy', contentSecurityPolicy);
    await answer(request, response);
  };
}
