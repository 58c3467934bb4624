import { expect, test } from 'vitest';
import { connect, receive } from '../support/redis-link.ts';
import { startRedisCluster, startSentinels, type TestRedisCluster } from '../support/redis.ts';

/** Moves the slots of these channels to the second server, as an operator would. */
async function moveSlots({ servers }: TestRedisCluster, channels: string[]): Promise<void> {
  const [first, second] = servers;
  if (first === undefined || second === undefined) throw new Error('the cluster has no servers');
  const [from, to] = [await first.cli('cluster', 'myid'), await second.cli('cluster', 'myid')];
  for (const channel of channels) {
    const slot = await first.cli('cluster', 'keyslot', channel);
    // Without this command, the server would not announce that it now has the slot. A server refuses this command for a
    // slot that it already has.
    await second.cli('cluster', 'setslot', slot, 'importing', from);
    await second.cli('cluster', 'setslot', slot, 'node', to);
    for (const server of servers) await server.cli('cluster', 'setslot', slot, 'node', to);
  }
}

test('in a cluster, messages of all channels arrive, and go on after all have moved to one server', async () => {
  const cluster = await startRedisCluster();
  const [ada, ben] = [await connect(cluster.url), await connect(cluster.url)];
  const channels = Array.from({ length: 12 }, (_, index) => `room ${index}`);
  const received = await Promise.all(channels.map((channel) => receive(ben, channel)));
  await Promise.all(channels.map((channel) => ada.link.publish(channel, channel)));
  for (const [index, { messages }] of received.entries()) await expect.poll(() => messages).toEqual([channels[index]]);
  await moveSlots(cluster, channels);
  const deliver = async () => {
    await Promise.all(channels.map((channel) => ada.link.publish(channel, 'moved').catch(() => undefined)));
    return received.map(({ messages }) => messages.at(-1));
  };
  await expect.poll(deliver, { timeout: 20_000, interval: 200 }).toEqual(channels.map(() => 'moved'));
}, 60_000);

test('after a failover, the Sentinels lead to the new primary', async () => {
  const { url, primary } = await startSentinels();
  const [ada, ben] = [await connect(url), await connect(url)];
  const { messages } = await receive(ben, 'room');
  await ada.link.publish('room', 'before');
  await expect.poll(() => messages).toEqual(['before']);
  await primary.kill();
  const deliver = async () => {
    await ada.link.publish('room', 'after').catch(() => undefined);
    return messages.at(-1);
  };
  await expect.poll(deliver, { timeout: 30_000, interval: 200 }).toBe('after');
}, 60_000);
