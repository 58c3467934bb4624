import type { RedisLink } from './redis-link.ts';

/**
 * Adds to a counter, which expires a given number of seconds after its first use. Returns the counter's value, and its
 * remaining lifetime in ms.
 */
const countScript = `redis.call('set', KEYS[1], 0, 'EX', ARGV[2], 'NX')
local count = redis.call('incrby', KEYS[1], ARGV[1])
return {count, redis.call('pttl', KEYS[1])}`;

/**
 * The rate limit counters in Redis. They have the ioredis interface that rate-limiter-flexible calls, but use the
 * deadlines of RedisLink. If a command fails, the method rejects.
 */
export function createCounters(link: RedisLink) {
  return {
    /** `points` and `seconds` are text, because Redis takes all arguments as text. */
    rlflxIncr: ([key = '', points = '', seconds = '']: string[]) =>
      link.run((commander) => commander.eval(countScript, 1, key, points, seconds)),
    /** Reads one counter: `multi().get(key).pttl(key).exec()`. */
    multi: () => {
      let key = '';
      const reading = {
        get: (counter: string) => {
          key = counter;
          return reading;
        },
        pttl: () => reading,
        exec: () => link.run((commander) => commander.multi().get(key).pttl(key).exec()),
      };
      return reading;
    },
    del: (key: string) => link.run((commander) => commander.del(key)),
  };
}
