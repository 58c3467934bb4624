import { setTimeout as sleep } from 'node:timers/promises';
import type { Postgres } from './database.ts';
import type { Crowd, LoadMethods } from './load.ts';
import { type Program, startHelper } from './process.ts';
import type { Remote } from './remote.ts';

/** The arguments of each benchmark. */
export type Bench = {
  postgres: Postgres;
  load: Remote<LoadMethods>;
  /** Whether to use small numbers, which only check that the benchmark works and produce figures that mean little. */
  isQuick: boolean;
  rounds: number;
  /** The folder for this server's CPU profiles; undefined for no profiles. */
  profileFolder: string | undefined;
  say: (line: string) => void;
};

/** A table of measured values, with the goals that they must meet. */
export type Report = { title: string; columns: string[]; rows: (string | number)[][]; notes: string[]; goals: Goal[] };

/** `value` must be at most `atMost` and at least `atLeast`. */
export type Goal = { name: string; value: number; atMost?: number; atLeast?: number; unit: string };

/** Whether the measured value is within the goal's limits. */
export function isReached({ value, atMost = Infinity, atLeast = -Infinity }: Goal): boolean {
  return value <= atMost && value >= atLeast;
}

/** Starts a process that runs subscribers. */
export function startLoad(): Program & { remote: Remote<LoadMethods> } {
  return startHelper<LoadMethods>('bench/load.ts');
}

/** The subscribers of one server, and the number of messages that they have received so far. */
export class Audience {
  readonly name: string;
  readonly size: number;
  readonly #load: Remote<LoadMethods>;
  #messages = 0;

  /** Resolves half a second after all subscribers have subscribed, so that the server is idle again. */
  static async open({ load }: Pick<Bench, 'load'>, name: string, crowd: Crowd): Promise<Audience> {
    await load.call('open', { group: name, crowd });
    await sleep(500);
    return new Audience(load, name, crowd.count);
  }

  private constructor(load: Remote<LoadMethods>, name: string, size: number) {
    this.#load = load;
    this.name = name;
    this.size = size;
  }

  /**
   * Resolves when the subscribers have received a total of `messages` more messages. Throws if more messages arrive, or
   * if a stream ends. On a server that promises order, also throws if a message is skipped or late.
   */
  async receive(messages: number): Promise<void> {
    this.#messages += messages;
    await this.#load.call('reached', { group: this.name, messages: this.#messages });
  }

  /** Returns how many messages reached a subscriber after a message that was sent later. */
  async countLate(): Promise<number> {
    return this.#load.call('countLate', { group: this.name });
  }

  async close(): Promise<void> {
    await this.#load.call('close', { group: this.name });
  }
}
