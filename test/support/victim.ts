import { generateKeySet } from '../../src/account/token-key.ts';
import { createDatabase, type TestDatabase } from './database.ts';
import { runServer, type ServerProcess } from './server-process.ts';
import { startServer, type TestServer } from './server.ts';

/** A node that keeps running, and a node in a separate process that a test may kill. */
export type VictimPair = AsyncDisposable & { database: TestDatabase; node: TestServer; victim: ServerProcess };

/** Starts two nodes that form one system. The caller must dispose of the nodes. */
export async function startWithVictim(): Promise<VictimPair> {
  const keys = generateKeySet();
  const database = await createDatabase();
  const node = await startServer({ database, env: { JWT_KEYS: keys } });
  const victim = runServer({ DATABASE_URL: database.url, JWT_KEYS: keys });
  const dispose = async () => {
    victim.kill('SIGKILL');
    await Promise.all([node.close(), victim.ended]);
    await database.drop();
  };
  return { database, node, victim, [Symbol.asyncDispose]: dispose };
}

/** An SQL condition that selects the leases of nodes that have open single-connection streams. */
export const holdsStreams = 'name in (select node from stream_reservations)';
