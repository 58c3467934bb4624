import type { IncomingMessage } from 'node:http';
import { acceptsPage, acceptsStream } from './accept.ts';
import { isForm } from './graphql.ts';
import { sendJson, type Handler } from './respond.ts';

/** The handlers that answer a node's requests. */
export type Handlers = {
  /** Serves queries and mutations; absent on a node without the role `api`. */
  graphql?: Handler;
  /** Serves the GraphiQL page when a browser opens /graphql. */
  graphiql?: Handler;
  /** Serves the graphql-sse protocol; absent on a node without the role `streams`. */
  streams?: Handler;
  /** Serves `/api/upload`. */
  upload?: Handler;
  /** Serves the tus protocol: `/api/upload/tus` and the paths below it. */
  tus?: Handler;
  /** Serves the paths below `/files/`. */
  download?: Handler;
  /** Serves `/auth/logout`. */
  logout?: Handler;
  /** Serves `/api/export`. */
  personalExport?: Handler;
  /** Serves the Model Context Protocol at `/mcp`. */
  mcp?: Handler;
  /** Serves the incoming webhooks, below `/api/hooks/`. */
  hooks?: Handler;
  /** Serves `/api/events`. */
  events?: Handler;
  /** Serves the rest of `/api/`. */
  rest?: Handler;
  /** Serves `/api/import`. */
  import?: Handler;
  /** The handlers for all other pages, each under its exact path, for GET and HEAD. */
  pages: Record<string, Handler>;
};

/** Removes the origin from a request target in absolute form (RFC 9112, 3.2.2), which some proxies send. */
export function originForm(target = '/'): string {
  const origin = /^https?:\/\/[^/?#]*/i.exec(target)?.[0];
  if (origin === undefined) return target;
  const rest = target.slice(origin.length);
  return rest.startsWith('/') ? rest : `/${rest}`;
}

/**
 * The purpose of a request, under the name that metrics and the access log use: the name of its handler, `page`, or
 * `none`.
 */
export type Route =
  | 'graphql'
  | 'graphiql'
  | 'streams'
  | 'events'
  | 'rest'
  | 'mcp'
  | 'hooks'
  | 'upload'
  | 'tus'
  | 'download'
  | 'personalExport'
  | 'import'
  | 'logout'
  | 'page'
  | 'none';

/**
 * Returns the purpose of the request, which follows from the path. At /graphql, it also follows from what the client
 * sends and accepts.
 */
export function findRoute(request: IncomingMessage, pages: Handlers['pages']): Route {
  const path = pathOf(request.url);
  if (path === '/graphql') return findGraphqlRoute(request);
  if (path === '/graphql/stream') return 'streams';
  if (path === '/api/upload') return 'upload';
  if (/^\/api\/upload\/tus(\/[^/]*)?$/.test(path)) return 'tus';
  if (/^\/files\/[^/]+\/[^/]+$/.test(path)) return 'download';
  if (path === '/auth/logout') return 'logout';
  if (path === '/mcp') return 'mcp';
  if (path === '/api/export') return 'personalExport';
  if (path === '/api/import') return 'import';
  if (/^\/api\/hooks\/[^/]+(\/slack)?$/.test(path)) return 'hooks';
  if (path === '/api/events') return 'events';
  if (Object.hasOwn(pages, path)) return 'page';
  return isRest(request) ? 'rest' : 'none';
}

/**
 * Returns the handler of a route. If this node has no handler for the route or the method, returns a handler that
 * refuses the request.
 */
export function findHandler(route: Route, request: IncomingMessage, handlers: Handlers): Handler {
  if (route === 'none') return notFound;
  if (route === 'page') return readOnly(request, handlers.pages[pathOf(request.url)] ?? notFound);
  const handler = handlers[route] ?? notServed;
  return route === 'download' ? readOnly(request, handler) : handler;
}

/** Whether the path is below `/api/`, where faults are reported as problems. */
export function isRest({ url = '/' }: IncomingMessage): boolean {
  return url.startsWith('/api/');
}

function readOnly(request: IncomingMessage, handler: Handler): Handler {
  return isRead(request) ? handler : methodNotAllowed;
}

function findGraphqlRoute(request: IncomingMessage): Route {
  const { accept } = request.headers;
  if (isForm(request)) return 'graphql';
  if (acceptsStream(accept)) return 'streams';
  return isRead(request) && acceptsPage(accept) ? 'graphiql' : 'graphql';
}

function pathOf(url = '/'): string {
  return url.split('?', 1)[0] ?? '/';
}

function isRead({ method }: IncomingMessage): boolean {
  return method === 'GET' || method === 'HEAD';
}

const notFound: Handler = (_, response) => sendJson(response, 404, { error: 'Not found. The API is at /graphql.' });

const notServed: Handler = (_, response) =>
  sendJson(response, 404, { error: 'This node does not serve that path: its SERVE setting excludes it.' });

const methodNotAllowed: Handler = (_, response) => {
  response.setHeader('allow', 'GET, HEAD');
  sendJson(response, 405, { error: 'Use GET or HEAD.' });
};
