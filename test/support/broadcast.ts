import { expect } from 'vitest';
import { TestNetwork, type TestChannels } from './channels.ts';
import { createGroup } from './chat.ts';
import { signUp, type Person } from './client.ts';
import { startServer, type TestServer } from './server.ts';

/** Two nodes that tell each other about events, and a chat with Ada and Grace. */
export type BroadcastPair = {
  network: TestNetwork;
  /** Each node's end of the network. */
  ends: readonly [TestChannels, TestChannels];
  /** The publisher. */
  first: TestServer;
  second: TestServer;
  ada: Person;
  grace: Person;
  chatId: string;
  /** Closes both nodes. */
  close: () => Promise<void>;
};

/** Starts two nodes that tell each other about events. */
export async function startBroadcastPair(): Promise<BroadcastPair> {
  const network = new TestNetwork();
  const ends = [network.join(), network.join()] as const;
  const first = await startServer({ overrides: { channels: ends[0] } });
  await expect.poll(() => publishes(first), { timeout: 10_000 }).toBe(true);
  const { database } = first;
  const second = await startServer({ database, overrides: { channels: ends[1] } });
  const [ada, grace] = [await signUp(first, 'ada'), await signUp(first, 'grace')];
  const chatId = await createGroup(ada, [grace]);
  const close = async () => {
    await second.close();
    await first.close();
  };
  return { network, ends, first, second, ada, grace, chatId, close };
}

/** Returns whether a node is the publisher, according to the last line in its log about that. */
export function publishes({ log }: TestServer): boolean {
  const said = log.map(({ msg }) => String(msg)).filter((msg) => msg.includes('publishes the event log'));
  return said.at(-1)?.includes('now') === true;
}

/** Returns how many nodes have just stopped listening to PostgreSQL. */
export async function countDeaf({ sql }: TestServer): Promise<number> {
  const { rows } = await sql.query(
    `select from pg_stat_activity where datname = current_database() and query = 'unlisten *'`,
  );
  return rows.length;
}
