import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createReadStream, createWriteStream } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { basename, join } from 'node:path';
import process from 'node:process';
import { pipeline } from 'node:stream/promises';
import { heapMethods } from '../heap.ts';
import { serve } from '../remote.ts';

/** The methods that the benchmark calls. */
export type BareFilesMethods = typeof heapMethods & { listen: () => Promise<number> };

const folder = process.env['FOLDER'] ?? '';
/** Whether an acknowledged file survives a crash. */
const isDurable = process.env['DURABLE'] === 'true';

/** The least that Node can do with a file: stream the request's body into it, and stream it back out. */
async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (request.method === 'GET') {
    const path = join(folder, basename(request.url ?? ''));
    response.writeHead(200, { 'content-length': (await stat(path)).size });
    await pipeline(createReadStream(path), response);
    return;
  }
  const name = randomUUID();
  const path = join(folder, name);
  await pipeline(request, createWriteStream(path));
  if (isDurable) for (const each of [path, folder]) await sync(each);
  response.writeHead(201).end(JSON.stringify({ files: [{ url: `/${name}` }] }));
}

async function sync(path: string): Promise<void> {
  await using handle = await open(path);
  await handle.sync();
}

serve({
  ...heapMethods,
  listen: async () => {
    const server = createServer((request, response) => {
      // If a client closes the connection when it receives the last byte, Node reports an aborted request.
      answer(request, response).catch(() => response.destroy());
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('the peer is not listening on a port');
    return address.port;
  },
} satisfies BareFilesMethods);
