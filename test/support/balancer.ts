import { once } from 'node:events';
import { createServer, request as send, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';

/** A request that the balancer passed on: its method, and the index of the node that received it. */
export type Passed = { method: string; node: number };

/** A load balancer in front of several nodes. */
export type Balancer = {
  url: string;
  /** Every request so far, in order. */
  passed: Passed[];
  /** Sends the next request to this node. */
  turnTo: (node: number) => void;
  /** Stops using a node, as a health check does when a node has died. */
  passBy: (node: number) => void;
};

/**
 * Starts a load balancer that sends each request to the next node in turn, until the test is over. The balancer knows
 * nothing about streams, tokens or sessions. If a node does not answer, the balancer responds with 502 and moves on to
 * the next node.
 */
export async function openBalancer(nodes: { url: string }[]): Promise<Balancer> {
  const passed: Passed[] = [];
  const dead = new Set<number>();
  let turn = 0;
  const next = (): number => {
    const node = turn++ % nodes.length;
    return dead.has(node) && dead.size < nodes.length ? next() : node;
  };
  const server = createServer((request, response) => {
    const node = next();
    passed.push({ method: request.method ?? '', node });
    pass(request, response, nodes[node]?.url ?? '');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(async () => {
    const closed = once(server, 'close');
    server.close();
    server.closeAllConnections();
    await closed;
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    passed,
    turnTo: (node) => void (turn = node),
    passBy: (node) => void dead.add(node),
  };
}

function pass(request: IncomingMessage, response: ServerResponse, url: string): void {
  const { method, headers } = request;
  const passing = send(url + (request.url ?? '/'), { method, headers, agent: false });
  passing.on('response', (answer) => {
    response.writeHead(answer.statusCode ?? 502, answer.headers);
    response.flushHeaders();
    answer.pipe(response);
    answer.on('error', () => response.destroy());
  });
  passing.on('error', () => {
    if (response.headersSent) response.destroy();
    else response.writeHead(502).end();
  });
  response.on('close', () => passing.destroy());
  request.pipe(passing);
}
