import { setTimeout as sleep } from 'node:timers/promises';
import type { Postgres } from './database.ts';
import type { Crowd, LoadMethods } from './load.ts';
import { type Program, startHelper } from './process.ts';
import type { Remote } from './remote.ts';

/** What every benchmark is given. */
export type Bench = {
  postgres: Postgres;
  load: Remote<LoadMethods>;
  /** Small numbers, to see that it works; the figures mean little. */
  isQuick: boolean;
  rounds: number;
  /** Where profiles of this server go, when they are asked for. */
  profileFolder: string | undefined;
  say: (line: string) => void;
};

/** A table, with what is to be held. */
export type Report = { title: string; columns: string[]; rows: (string | number)[][]; notes: string[]; goals: Goal[] };

/** `value` is to be at most (or at least) `limit`. */
export type Goal = { name: string; value: number; atMost?: number; atLeast?: number; unit: string };

export function isReached({ value, atMost = Infinity, atLeast = -Infinity }: Goal): boolean {
  return value <= atMost && value >= atLeast;
}

/** Starts the process that holds all subscribers. */
export function startLoad(): Program & { remote: Remote<LoadMethods> } {
  return startHelper<LoadMethods>('bench/load.ts');
}

/** Subscribers of one server, and how many messages they have got so far. */
export class Audience {
  readonly name: string;
  readonly size: number;
  readonly #load: Remote<LoadMethods>;
  #messages = 0;

  /** Resolves when all are subscribed, and the server is quiet again. */
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

  /** Resolves when they have got so many more, all together; throws when one came twice, late or not at all. */
  async receive(messages: number): Promise<void> {
    this.#messages += messages;
    await this.#load.call('reached', { group: this.name, messages: this.#messages });
  }

  /** How many messages reached a subscriber after one that was sent later. */
  async countLate(): Promise<number> {
    return this.#load.call('countLate', { group: this.name });
  }

  async close(): Promise<void> {
    await this.#load.call('close', { group: this.name });
  }
}
