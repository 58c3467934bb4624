import { atFileEnd } from './file-end.ts';
import { exchangesByLog } from './nodes.ts';
import { openServer, startServer, type TestServer } from './server.ts';
// Recognizes the background work of servers that start after it is loaded.
import './statements.ts';

/** This worker's server with its second node, as far as they have been started. */
let nodes: TestServer[] = [];
let isInUse = false;

/**
 * A server with the default settings for files that need no database of their own, which saves them most of the time of
 * a start: it runs until the worker ends, and files use it one after another. At the end of each file its log is
 * emptied, and its users lose their names, so that the next file can sign up users with the same ones. Everything else
 * stays: use `startServer` in files that read what all users share (lists of users or public channels, the whole event
 * log), count rows of whole tables, write very many rows, change the schema, or leave webhooks or roles behind.
 */
export async function sharedServer(): Promise<TestServer> {
  // Nodes that exchange events in another way are those of one file.
  if (!exchangesByLog()) return startServer();
  if (!isInUse) {
    isInUse = true;
    atFileEnd(release);
  }
  const server = (nodes[0] ??= await openServer({}));
  return { ...server, ...staysOpen };
}

/** Another node of the same system; see `sharedServer`. */
export async function sharedNode(server: TestServer): Promise<TestServer> {
  const [first] = nodes;
  if (first?.database !== server.database) return startServer({ database: server.database });
  const node = (nodes[1] ??= await openServer({ database: first.database }));
  return { ...node, ...staysOpen };
}

async function refuseToClose(): Promise<never> {
  throw new Error('Other files use this server too: start one of your own.');
}

const staysOpen = { close: refuseToClose, [Symbol.asyncDispose]: refuseToClose };

/** Prepares the server for the next file. If that fails, the next file gets a new one. */
async function release(): Promise<void> {
  isInUse = false;
  const used = nodes;
  nodes = [];
  try {
    for (const { log } of used) log.length = 0;
    if (used[0] !== undefined) await freeNames(used[0]);
    nodes = used;
  } finally {
    if (nodes !== used) for (const { close } of used.toReversed()) await close();
  }
}

/** Gives all users other names and addresses, so that tests can sign up users with the same ones again. */
export async function freeNames({ sql }: TestServer): Promise<void> {
  await sql.query(
    `update users
    set username = 'past-' || id, email = case when email is not null then 'past-' || id || '@example.com' end
    where username not like 'past-%' and deleted_at is null`,
  );
}
