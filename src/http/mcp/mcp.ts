import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { CallToolRequestSchema, ErrorCode, ListToolsRequestSchema, McpError } from '@modelcontextprotocol/sdk/types.js';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { demandAsker, identifyAsker } from '../../api/context.ts';
import { apiVersion } from '../../api/feature.ts';
import { requestLimits } from '../../api/request.ts';
import type { Asker } from '../../core/asker.ts';
import { Forbidden, IssuerUnavailable, Unauthenticated } from '../../errors.ts';
import { readJson } from '../body.ts';
import { pickOrigin } from '../cors.ts';
import { executePrepared, type GraphqlOptions } from '../graphql-operation.ts';
import { HttpError } from '../http-error.ts';
import { refuseWith } from '../refusal.ts';
import type { Handler } from '../respond.ts';
import { compileTools, resultOf, type CompiledTool } from './tool.ts';

/**
 * Serves `/mcp`: the Model Context Protocol over streamable HTTP. Its tools are stored documents, which are executed
 * like any other operation, as the user of the API key or the session. No state is kept between requests, so every node
 * can handle every request. https://modelcontextprotocol.io/specification/2025-11-25/basic/transports
 */
export function serveMcp(options: GraphqlOptions & { corsOrigin: string }): Handler {
  const tools = compileTools(options.schema);
  return async (request, response) => {
    try {
      refuseOrigin(request, options.corsOrigin);
      if (request.method !== 'POST') {
        throw new HttpError(405, 'This server keeps no sessions: send messages by POST.', {
          headers: { allow: 'POST' },
        });
      }
      const asker = await identify(options, request);
      const body = await readJson(request, requestLimits.maxBodyBytes);
      // The SDK would run all tool calls of a batch at once, and hold all of their results in memory. The current
      // version of the protocol has no batches.
      if (Array.isArray(body)) throw new HttpError(400, 'Send one message in each request.');
      await answer({ ...options, tools }, { request, response, asker, body });
    } catch (error) {
      if (!(error instanceof HttpError)) throw error;
      await refuseWith(error, request, response);
    }
  };
}

/**
 * Throws HttpError 403 for a page whose origin CORS_ORIGIN does not allow. The protocol requires this check as a
 * protection against DNS rebinding.
 */
function refuseOrigin({ headers }: IncomingMessage, corsOrigin: string): void {
  if (headers.origin === undefined || pickOrigin(headers.origin, corsOrigin) !== null) return;
  throw new HttpError(403, 'Pages of this origin may not use the API: see CORS_ORIGIN.', { code: 'FORBIDDEN' });
}

/**
 * Returns the user with whose rights the tools run. Throws HttpError 401 if there is no user, 403 for a server key, and
 * 503 for a token that cannot be verified at the moment.
 */
async function identify({ services }: GraphqlOptions, { headers }: IncomingMessage): Promise<Asker> {
  try {
    return demandAsker(await identifyAsker(services.accounts, headers));
  } catch (error) {
    if (error instanceof Unauthenticated) {
      const challenge = { 'www-authenticate': 'Bearer' };
      throw new HttpError(401, error.message, { code: 'UNAUTHENTICATED', headers: challenge });
    }
    if (error instanceof Forbidden) throw new HttpError(403, error.message, { code: 'FORBIDDEN' });
    if (!(error instanceof IssuerUnavailable)) throw error;
    throw new HttpError(503, error.message, { code: 'INTERNAL', headers: { 'retry-after': '5' } });
  }
}

type Exchange = { request: IncomingMessage; response: ServerResponse; asker: Asker; body: unknown };

async function answer(
  options: GraphqlOptions & { tools: ReadonlyMap<string, CompiledTool> },
  { request, response, asker, body }: Exchange,
): Promise<void> {
  // This uses the inner server, because the outer one requires zod schemas for tools, and these tools have JSON
  // schemas.
  const { server } = new McpServer({ name: 'parley', version: apiVersion }, { capabilities: { tools: {} } });
  server.setRequestHandler(ListToolsRequestSchema, () => ({
    tools: [...options.tools.values()].map(({ listed }) => listed),
  }));
  server.setRequestHandler(CallToolRequestSchema, async ({ params }) => {
    const tool = options.tools.get(params.name);
    if (tool === undefined) throw new McpError(ErrorCode.InvalidParams, 'There is no such tool.');
    const execution = { preparation: tool.operation, variables: params.arguments ?? {} };
    return resultOf(await executePrepared(options, execution, { asker: () => asker, from: request }));
  });
  const transport = new StreamableHTTPServerTransport({ enableJsonResponse: true });
  response.once('close', () => void server.close());
  response.setHeader('cache-control', 'no-store');
  await server.connect(transport);
  await transport.handleRequest(request, response, body);
}
