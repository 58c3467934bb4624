import { expect, onTestFinished } from 'vitest';
import type { Report } from '../../src/core/report.ts';
import { RedisLink } from '../../src/redis/redis-link.ts';
import { parseRedisUrl } from '../../src/redis/redis-url.ts';

/** A node's connections to Redis, and what the node has reported about them. */
export type RedisNode = { link: RedisLink; reports: string[] };

/** Connects to Redis as a node does, until the test is over. */
export async function connect(url: string): Promise<RedisNode> {
  const reports: string[] = [];
  const report: Report = (_, message) => void reports.push(message);
  const link = await RedisLink.open(parseRedisUrl(url), report);
  onTestFinished(() => link.close());
  return { link, reports };
}

/** Returns the messages that have arrived on a channel since the subscription began. */
export async function receive({ link }: RedisNode, channel: string) {
  const messages: string[] = [];
  const subscription = link.subscribe(channel, (message) => void messages.push(message));
  await expect.poll(() => subscription.since, { timeout: 10_000 }).not.toBeNull();
  return { messages, subscription };
}
