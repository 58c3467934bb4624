import { atFileEnd } from './file-end.ts';
import { exchangesByLog } from './nodes.ts';
import { openServer, startServer, type TestServer } from './server.ts';
// Recognizes the background work of servers that start after this import.
import './statements.ts';

/** This worker's server and its second node, if they have been started. */
let nodes: TestServer[] = [];
let isInUse = false;

/**
 * Returns a server with the default settings, for test files that do not need a separate database. Sharing the server
 * saves these files most of the startup time. The server runs until the worker ends, and the files use it one after
 * another. At the end of each file, the server's log is emptied, its users lose their names and roles, and its API keys
 * are revoked (see `freeNames`). Everything else stays. Use `startServer` in files that read what all users share
 * (lists of users or public channels, the whole event log), count rows of whole tables, write very many rows, or change
 * the schema. Also use it in files that leave webhooks behind or need a server without an admin.
 */
export async function sharedServer(): Promise<TestServer> {
  // Nodes that do not exchange events through the log serve only one test file.
  if (!exchangesByLog()) return startServer();
  const isFirst = !isInUse;
  if (isFirst) {
    isInUse = true;
    atFileEnd(release);
  }
  const isNew = nodes[0] === undefined;
  const server = (nodes[0] ??= await openServer({}));
  // Frees the names again, because a request that no test waited for may have been answered since they were last freed.
  if (isFirst && !isNew) await freeNames(server);
  return { ...server, ...staysOpen };
}

/** Returns another node of the same system. See `sharedServer`. */
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

/** Prepares the server for the next file. If that fails, the next file gets a new server. */
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

/**
 * Gives all users and chats new names, addresses and keys, so that tests can use the old ones again. Also removes all
 * roles, and revokes all API keys. One admin that no test knows remains, because the server needs an admin.
 */
export async function freeNames({ sql }: TestServer): Promise<void> {
  await sql.query(`
    insert into users (username, email, server_role)
    select 'past-admin', 'past-admin@example.com', 'ADMIN'
    where exists (select from users where server_role = 'ADMIN')
      and not exists (select from users where username = 'past-admin');
    update users
    set username = 'past-' || id, email = case when email is not null then 'past-' || id || '@example.com' end,
      display_name = null, key = case when key is not null then 'past-' || id end, server_role = 'USER'
    where username not like 'past-%' and deleted_at is null;
    update chats set key = 'past-' || id where key not like 'past-%';
    update api_keys set revoked_at = clock_timestamp() where revoked_at is null`);
}
