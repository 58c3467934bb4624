import { setTimeout as sleep } from 'node:timers/promises';
import type { Machine, Node } from './machine.ts';

/** A fault that ends after `ms`. */
export type Fault = { name: string; happen: (machine: Machine, ms: number) => Promise<void> };

const nodeAt = ({ nodes }: Machine, index: number): Node => nodes[index] as Node;

/** Node A is never killed, so that its memory can be watched for the whole time. */
export const allFaults: Fault[] = [
  {
    name: 'kill -9 of node B',
    happen: async (machine, ms) => {
      const node = nodeAt(machine, 1);
      await node.kill();
      await sleep(ms);
      await node.start();
    },
  },
  pause('SIGSTOP of node A', 0),
  pause('SIGSTOP of node B', 1),
  {
    name: 'Redis is killed, and starts empty',
    happen: async ({ redis }, ms) => {
      await redis.kill();
      await sleep(ms);
      await redis.start();
    },
  },
  darken('the connections of node A to PostgreSQL go dark', (machine) => nodeAt(machine, 0).toPostgres),
  darken('the connections of node B to Redis go dark', (machine) => nodeAt(machine, 1).toRedis),
  {
    name: 'SIGSTOP of Redis',
    happen: async ({ redis }, ms) => {
      process.kill(redis.pid, 'SIGSTOP');
      await sleep(ms);
      process.kill(redis.pid, 'SIGCONT');
    },
  },
  restartPostgres('PostgreSQL restarts', 'SIGINT'),
  restartPostgres('PostgreSQL crashes', 'SIGQUIT'),
  darken('the connections of node A to Redis go dark', (machine) => nodeAt(machine, 0).toRedis),
  darken('the connections of node B to PostgreSQL go dark', (machine) => nodeAt(machine, 1).toPostgres),
];

function pause(name: string, index: number): Fault {
  return {
    name,
    happen: async (machine, ms) => {
      const node = nodeAt(machine, index);
      if (node.program === null) return;
      node.isPaused = true;
      process.kill(node.program.pid, 'SIGSTOP');
      await sleep(ms);
      process.kill(node.program.pid, 'SIGCONT');
      node.isPaused = false;
    },
  };
}

function darken(name: string, find: (machine: Machine) => Node['toRedis']): Fault {
  return {
    name,
    happen: async (machine, ms) => {
      const proxy = find(machine);
      proxy.darken();
      await sleep(ms);
      proxy.light();
    },
  };
}

function restartPostgres(name: string, signal: NodeJS.Signals): Fault {
  return {
    name,
    happen: async (machine, ms) => {
      await machine.endPostgres(signal);
      await sleep(ms / 2);
      await machine.startPostgres();
    },
  };
}
