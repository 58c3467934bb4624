import { onTestFinished } from 'vitest';
import { createGroup } from './chat.ts';
import { signUp, type Person } from './client.ts';
import type { TestDatabase } from './database.ts';
import type { FaultyPostgres } from './fault-postgres.ts';
import { startServer, type TestServer } from './server.ts';

/** Two nodes of one system, and a chat with Ada, Grace and Linus. */
export type FaultNodes = {
  database: TestDatabase;
  nodes: readonly [TestServer, TestServer];
  ada: Person;
  grace: Person;
  linus: Person;
  chatId: string;
};

/** Starts two nodes that share a new database. The nodes run until the test is over. */
export async function startFaultNodes(postgres: FaultyPostgres): Promise<FaultNodes> {
  const database = await postgres.createDatabase();
  const nodes = [await startServer({ database }), await startServer({ database })] as const;
  onTestFinished(async () => {
    await Promise.all(nodes.map((node) => node.close()));
    await database.drop();
  });
  const [ada, grace, linus] = await Promise.all(['ada', 'grace', 'linus'].map((name) => signUp(nodes[0], name)));
  if (ada === undefined || grace === undefined || linus === undefined) throw new Error('a user could not sign up');
  return { database, nodes, ada, grace, linus, chatId: await createGroup(ada, [grace, linus]) };
}

/** Stops PostgreSQL, runs `between`, and starts PostgreSQL again. */
export async function restart(postgres: FaultyPostgres, between: () => Promise<void>): Promise<void> {
  await postgres.end('SIGINT');
  await between();
  await postgres.resume();
}
