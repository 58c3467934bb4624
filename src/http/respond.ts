import type { IncomingMessage, ServerResponse } from 'node:http';

/** Answers one request. If the handler throws an error, the error is logged and the response is a 500. */
export type Handler = (request: IncomingMessage, response: ServerResponse) => void | Promise<void>;

/** Sends a JSON body and ends the response. */
export function sendJson(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json; charset=utf-8' }).end(JSON.stringify(body));
}
