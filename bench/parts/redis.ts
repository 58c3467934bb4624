import { setTimeout as sleep } from 'node:timers/promises';
import type { Bench, Report } from '../bench.ts';
import { cpuMs, startHelper } from '../process.ts';
import { startRedis } from '../redis.ts';
import { fit, type Point } from './fit.ts';
import { pieceOf } from './piece.ts';
import type { RedisClientMethods } from './redis-client.ts';

const channels = Array.from({ length: 256 }, (_, index) => `parley:{shard:${index}}`);
/**
 * Measures the CPU time that Redis spends per message and per receiver, and the CPU time that the publisher and the
 * receivers spend.
 */
export async function measureRedis(bench: Bench): Promise<Report[]> {
  const redis = await startRedis();
  const count = bench.isQuick ? 5_000 : 40_000;
  const points: Point[] = [];
  const ends: { publisher: number[]; receiver: number[] } = { publisher: [], receiver: [] };
  for (const receivers of [1, 4, 16]) {
    const [publisher, subscriber] = [startHelper<RedisClientMethods>(script), startHelper<RedisClientMethods>(script)];
    await subscriber.remote.call('subscribe', { port: redis.port, count: receivers, channels });
    const task = { port: redis.port, channels, together: 20 };
    await publisher.remote.call('publish', { ...task, count: 2_000 });
    const pids = { redis: redis.pid, publisher: publisher.pid, subscriber: subscriber.pid };
    const before = { redis: cpuMs(pids.redis), publisher: cpuMs(pids.publisher), subscriber: cpuMs(pids.subscriber) };
    await publisher.remote.call('publish', { ...task, count });
    while ((await subscriber.remote.call('received')) < (count + 2_000) * receivers) await sleep(20);
    points.push({ times: count, things: count * receivers, cost: 1_000 * (cpuMs(pids.redis) - before.redis) });
    ends.publisher.push((1_000 * (cpuMs(pids.publisher) - before.publisher)) / count);
    ends.receiver.push((1_000 * (cpuMs(pids.subscriber) - before.subscriber)) / (count * receivers));
    bench.say(`redis, ${receivers} receivers: ${((points.at(-1)?.cost ?? 0) / count).toFixed(1)} µs per message`);
    await Promise.all([publisher.stop(), subscriber.stop()]);
  }
  await redis.stop();
  const { each, per } = fit(points);
  return [
    {
      title: 'A message over Redis',
      columns: ['part', 'µs per message', 'µs per message and receiver'],
      rows: [
        ['Redis', each.toFixed(2), per.toFixed(2)],
        ['publisher', Math.max(...ends.publisher).toFixed(2), '–'],
        ['receiver', '–', Math.max(...ends.receiver).toFixed(2)],
      ],
      notes: [
        `Sharded publish and subscribe, ${pieceOf(0).length} bytes, 20 messages at a time to 1, 4 and 16 receivers, each subscribed to 256 channels. Each message is a piece with one event and its rows, which the publisher encodes and the receiver decodes. Both ends speak the bare protocol over a socket; the figures of the ends are the highest of the three runs.`,
      ],
      goals: [],
    },
  ];
}

const script = 'bench/parts/redis-client.ts';
