import { onTestFinished } from 'vitest';
import { generateKeySet } from '../../src/account/token-key.ts';
import { findFreePort } from '../../src/postgres/embedded/server.ts';
import { createGroup } from './chat.ts';
import { signUp, type Person } from './client.ts';
import { createDatabase, type TestDatabase } from './database.ts';
import { runServer, type ServerProcess } from './server-process.ts';
import { startServer, type TestServer } from './server.ts';

const jwtKeys = generateKeySet();

/** A chat with Ada, Grace and Linus. */
export type ProcessChat = {
  database: TestDatabase;
  /** A node that runs in this process. */
  node: TestServer;
  ada: Person;
  grace: Person;
  linus: Person;
  chatId: string;
  /** Starts another node in a separate process, always on the same port. */
  run: () => ServerProcess;
};

/** Starts a chat on a separate database. Everything stops when the test ends. */
export async function startProcessChat(): Promise<ProcessChat> {
  const database = await createDatabase();
  onTestFinished(database.drop);
  const node = await startServer({ database, env: { JWT_KEYS: jwtKeys } });
  onTestFinished(node.close);
  const [ada, grace, linus] = [await signUp(node, 'ada'), await signUp(node, 'grace'), await signUp(node, 'linus')];
  const port = String(await findFreePort());
  const run = () => runServer({ DATABASE_URL: database.url, JWT_KEYS: jwtKeys, PORT: port });
  return { database, node, ada, grace, linus, run, chatId: await createGroup(ada, [grace, linus]) };
}
